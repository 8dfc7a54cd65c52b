//! When a token is due to be replaced, as Java's clients reckon it (`sasl.login.refresh.…`).

use std::time::Duration;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// The part of a token's life that passes first.
    pub factor: f64,
    /// At most this part more, by chance, so that servers don't come all at once.
    pub jitter: f64,
    /// Not sooner than this.
    pub least: Duration,
    /// So long before the token's end at the latest.
    pub buffer: Duration,
}

impl Pace {
    /// How long to wait, for a token that holds for `life`; `chance` lies from 0 to 1.
    pub fn refresh_after(&self, life: Duration, chance: f64) -> Duration {
        let wanted = life.mul_f64((self.factor + self.jitter * chance).clamp(0.0, 1.0));
        // For a token that holds for less than both together they would leave nothing: they are ignored.
        if self.least + self.buffer >= life { wanted } else { wanted.clamp(self.least, life - self.buffer) }
    }
}

/// A number from 0 to 1.
pub(super) fn chance() -> f64 {
    let [byte, ..] = *uuid::Uuid::new_v4().as_bytes();
    f64::from(byte) / 255.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_replaced_in_time() {
        let pace = Pace { factor: 0.8, jitter: 0.05, least: Duration::from_secs(60), buffer: Duration::from_secs(300) };
        for (life_s, chance, expected_s) in
            [(10, 0.0, 8.0), (10, 1.0, 8.5), (3600, 0.0, 2880.0), (1000, 0.0, 700.0), (360, 0.0, 288.0), (70, 0.0, 56.0)]
        {
            let waited = pace.refresh_after(Duration::from_secs(life_s), chance).as_secs_f64();
            assert!((waited - expected_s).abs() < 0.001, "{life_s} s: {waited}");
        }
        let soon = Pace { factor: 0.5, jitter: 0.0, least: Duration::from_secs(60), buffer: Duration::ZERO };
        assert_eq!(soon.refresh_after(Duration::from_secs(100), 0.0), Duration::from_secs(60));
    }
}
