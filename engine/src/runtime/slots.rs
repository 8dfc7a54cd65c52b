//! Slots: how the tasks of a service are spread over the servers that run it.
//!
//! A service has a fixed number of slots, and each task belongs to one, by its query and partition; who has the slot runs it. The
//! sub-topologies of one partition belong together. The partitions of a query lie in slots far from each other, so that any share of
//! the slots is about the same share of every query with many partitions; where each query has one, the hash spreads the queries.

use std::collections::BTreeSet;

use crate::log::{PartitionId, murmur2};

/// One of a service's slots, from 0.
pub type Slot = u16;

/// Some of a service's slots.
pub type SlotSet = BTreeSet<Slot>;

/// How many slots a service has, and which task belongs where. Both are the same in every version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    count: u16,
    /// From one partition of a query to the next: near the golden section, and without a common factor with the count, so that as many
    /// partitions as there are slots lie in different ones.
    stride: u16,
}

impl Slots {
    /// What a service has unless it is told otherwise.
    pub const DEFAULT_COUNT: u16 = 64;

    /// At least one.
    pub fn new(count: u16) -> Self {
        let count = count.max(1);
        let golden = u16::try_from(u32::from(count) * 618 / 1000).unwrap_or(1).max(1);
        let stride = (golden..=count).find(|stride| greatest_common_divisor(*stride, count) == 1).unwrap_or(1);
        Slots { count, stride }
    }

    pub fn count(self) -> u16 {
        self.count
    }

    pub fn all(self) -> SlotSet {
        (0..self.count).collect()
    }

    /// Where the tasks of a query's partition belong.
    pub fn of(self, query: &str, partition: PartitionId) -> Slot {
        let count = u64::from(self.count);
        let steps = u64::from(partition.unsigned_abs()) % count * u64::from(self.stride);
        Slot::try_from((u64::from(murmur2(query.as_bytes())) + steps) % count).unwrap_or_default()
    }
}

impl Default for Slots {
    fn default() -> Self {
        Slots::new(Self::DEFAULT_COUNT)
    }
}

fn greatest_common_divisor(a: u16, b: u16) -> u16 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_stays_in_its_slot() {
        let slots = Slots::default();
        let of = |query, partition| slots.of(query, partition);
        assert_eq!([of("CTAS_A_1", 0), of("CTAS_A_1", 1), of("CTAS_A_1", 2), of("CSAS_B_3", 0)], [58, 33, 8, 33]);
        assert_eq!((slots.count, slots.stride), (64, 39));
    }

    #[test]
    fn partitions_of_a_query_lie_in_different_slots() {
        for count in [1, 2, 3, 7, 12, 64, 100, 1_000, u16::MAX] {
            let slots = Slots::new(count);
            let taken: SlotSet = (0..PartitionId::from(count.min(2_000))).map(|partition| slots.of("CTAS_A_1", partition)).collect();
            assert_eq!(taken.len(), usize::from(count.min(2_000)), "{count}");
            assert!(taken.iter().all(|slot| *slot < count));
        }
        assert_eq!(Slots::new(0).all().len(), 1);
    }

    #[test]
    fn a_share_of_the_slots_is_a_share_of_the_tasks() {
        let slots = Slots::default();
        let thirds: [SlotSet; 3] =
            std::array::from_fn(|third| slots.all().into_iter().filter(|slot| usize::from(*slot) / 22 == third).collect());
        let share = |tasks: &[(String, PartitionId)], third: &SlotSet| {
            tasks.iter().filter(|(query, partition)| third.contains(&slots.of(query, *partition))).count()
        };
        for (queries, partitions) in [(1, 12), (5, 6), (300, 1)] {
            let tasks: Vec<_> =
                (0..queries).flat_map(|query| (0..partitions).map(move |p| (format!("CSAS_S{query}_{query}"), p))).collect();
            for third in &thirds {
                let (share, fair) = (share(&tasks, third), tasks.len() / 3);
                assert!(share * 10 >= fair * 7 && share * 10 <= fair * 14, "{queries} × {partitions}: {share} of {fair}");
            }
        }
    }
}
