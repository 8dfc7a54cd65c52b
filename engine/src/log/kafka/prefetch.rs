//! How much is fetched ahead, for all partitions together.
//!
//! librdkafka fetches ahead for each partition up to a limit that is fixed when its client is made. A limit that serves a
//! few partitions well would, with a thousand of them behind, take gigabytes. So the budget is divided: the first partitions
//! share clients that fetch far ahead, later ones clients that fetch less. A place that is given back is taken by the next.

/// What all partitions may hold ahead of their readers, bytes.
pub(super) const PREFETCH_BUDGET_BYTES: usize = 256 << 20;

/// How far ahead a client fetches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// What a partition may hold before it is fetched no further, bytes.
    queue_bytes: usize,
    /// What one fetch may add to that, bytes.
    fetch_bytes: usize,
    /// What a whole response may hold, bytes: it is kept until the last of its records is done with.
    response_bytes: usize,
    /// Its part of the budget, in eighths.
    eighths: usize,
}

/// From the first partitions' to the last ones', which are as many as come: what is beyond the budget fetches least.
pub(super) const SHARES: [Share; 3] = [
    Share { queue_bytes: 4 << 20, fetch_bytes: 1 << 20, response_bytes: 8 << 20, eighths: 4 },
    Share { queue_bytes: 512 << 10, fetch_bytes: 512 << 10, response_bytes: 4 << 20, eighths: 3 },
    Share { queue_bytes: 64 << 10, fetch_bytes: 64 << 10, response_bytes: 1 << 20, eighths: 1 },
];

impl Share {
    /// As many partitions as its part of the budget is enough for.
    fn places(&self) -> usize {
        PREFETCH_BUDGET_BYTES / 8 * self.eighths / (self.queue_bytes + self.fetch_bytes)
    }

    /// As librdkafka's properties.
    pub(super) fn properties(&self) -> [(&'static str, String); 3] {
        [
            ("queued.max.messages.kbytes", (self.queue_bytes >> 10).to_string()),
            ("fetch.message.max.bytes", self.fetch_bytes.to_string()),
            ("fetch.max.bytes", self.response_bytes.to_string()),
        ]
    }
}

/// Which partitions have a place in which share.
#[derive(Debug, Default)]
pub(super) struct Places {
    taken: [usize; SHARES.len()],
}

impl Places {
    /// Takes the best place that is free: the index of its share.
    pub(super) fn take(&mut self) -> usize {
        let last = SHARES.len() - 1;
        let free = self.taken.iter().zip(&SHARES).position(|(taken, share)| *taken < share.places()).unwrap_or(last);
        if let Some(taken) = self.taken.get_mut(free) {
            *taken += 1;
        }
        free
    }

    pub(super) fn give_back(&mut self, share: usize) {
        if let Some(taken) = self.taken.get_mut(share) {
            *taken = taken.saturating_sub(1);
        }
    }

    /// The most that all of them may hold, bytes.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.taken.iter().zip(&SHARES).map(|(taken, share)| taken * (share.queue_bytes + share.fetch_bytes)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_partitions_stay_within_the_budget() {
        let mut places = Places::default();
        // As many as the bench has: as far ahead as ever.
        assert!((0..4).all(|_| places.take() == 0));
        let mut count = 4;
        while places.held() + (128 << 10) <= PREFETCH_BUDGET_BYTES {
            places.take();
            count += 1;
        }
        assert!(count > 300, "only {count} partitions fit");
        // Beyond it each takes as little as can be.
        let full = places.held();
        assert_eq!(places.take(), 2);
        assert_eq!(places.held() - full, 128 << 10);
    }

    #[test]
    fn a_place_that_is_given_back_is_taken_again() {
        let mut places = Places::default();
        let first = SHARES[0].places();
        assert!((0..first).all(|_| places.take() == 0));
        assert_eq!(places.take(), 1);
        places.give_back(0);
        assert_eq!((places.take(), places.take()), (0, 1));
    }
}
