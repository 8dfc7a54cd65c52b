//! What the queries' sinks must hold, computed from the input topics alone.

use std::collections::BTreeMap;

/// Width of the windows, milliseconds.
pub const WINDOW_MS: i64 = 5_000;
/// Each so many clicks there is a reply to one.
pub const REPLY_EVERY: i64 = 4;

/// A record of the input topic `clicks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Click {
    pub key: String,
    pub id: i64,
    pub group: String,
    pub time_ms: i64,
}

/// What the input topics hold, each topic's partitions one after the other, in their order.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    pub clicks: Vec<Click>,
    /// The clicks that are replied to.
    pub replies: Vec<i64>,
    /// Key and version.
    pub lefts: Vec<(String, i64)>,
    pub rights: Vec<(String, i64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sink {
    /// A filter.
    Passed,
    /// GROUP BY the key.
    Counts,
    /// GROUP BY another column, behind a repartition topic.
    Groups,
    /// A windowed count.
    Windows,
    /// A stream–stream join behind two repartition topics.
    Pairs,
    /// A table–table join.
    Joined,
}

impl Sink {
    pub const ALL: [Sink; 6] = [Sink::Passed, Sink::Counts, Sink::Groups, Sink::Windows, Sink::Pairs, Sink::Joined];

    pub fn name(self) -> &'static str {
        match self {
            Sink::Passed => "passed",
            Sink::Counts => "counts",
            Sink::Groups => "groups",
            Sink::Windows => "windows",
            Sink::Pairs => "pairs",
            Sink::Joined => "joined",
        }
    }
}

/// What a sink says of one key, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Steps {
    Exactly(Vec<i64>),
    /// Pairs of versions that rise to this one, one version by one. Where they begin depends on which side came first.
    Rising(i64, i64),
}

pub type Expected = BTreeMap<Sink, BTreeMap<String, Steps>>;

/// A pair of versions as a step.
pub fn step_of(left: i64, right: i64) -> i64 {
    left * 1_000_000 + right
}

pub fn versions(step: i64) -> (i64, i64) {
    (step / 1_000_000, step % 1_000_000)
}

/// What must come of the inputs.
///
/// # Panics
/// Where ids of the inputs are not unique: nothing could be said then.
pub fn expected(inputs: &Inputs) -> Expected {
    let mut ids: Vec<i64> = inputs.clicks.iter().map(|click| click.id).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "the input has an id twice");
    let mut all: BTreeMap<Sink, BTreeMap<String, Vec<i64>>> = BTreeMap::new();
    let mut count = |sink, key: String| {
        let steps = all.entry(sink).or_default().entry(key).or_default();
        steps.push(steps.len() as i64 + 1);
    };
    for click in &inputs.clicks {
        count(Sink::Counts, click.key.clone());
        count(Sink::Groups, click.group.clone());
        count(Sink::Windows, format!("{}@{}", click.key, click.time_ms / WINDOW_MS * WINDOW_MS));
    }
    for click in inputs.clicks.iter().filter(|click| click.id % 2 == 0) {
        all.entry(Sink::Passed).or_default().entry(click.key.clone()).or_default().push(click.id);
    }
    for id in inputs.replies.iter().filter(|id| ids.binary_search(id).is_ok()) {
        all.entry(Sink::Pairs).or_default().entry(id.to_string()).or_default().push(*id);
    }
    let mut expected: Expected =
        all.into_iter().map(|(sink, keys)| (sink, keys.into_iter().map(|(key, steps)| (key, Steps::Exactly(steps))).collect())).collect();
    let last = |side: &[(String, i64)]| side.iter().cloned().collect::<BTreeMap<String, i64>>();
    let (lefts, rights) = (last(&inputs.lefts), last(&inputs.rights));
    let joined = lefts.iter().filter_map(|(key, left)| Some((key.clone(), Steps::Rising(*left, *rights.get(key)?)))).collect();
    expected.insert(Sink::Joined, joined);
    expected
}
