//! What the operators of a query's tasks have done, as its tasks show it at the ends of chunks.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::profile::Measured;

/// See the module.
#[derive(Debug, Default)]
pub struct Work(Mutex<BTreeMap<(usize, i32), TaskWork>>);

/// Of one task: its sources, then its operators.
#[derive(Debug, Default)]
struct TaskWork {
    names: Vec<String>,
    done: Vec<Measured>,
}

/// One operator of all tasks of a sub-topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorWork {
    pub sub_topology: usize,
    pub name: String,
    pub done: Measured,
}

impl Work {
    /// What a task has done until now, in the order of `names`, which are asked for once.
    pub(super) fn show(&self, task: (usize, i32), done: impl Iterator<Item = Measured>, names: impl FnOnce() -> Vec<String>) {
        let mut tasks = self.0.lock();
        let shown = tasks.entry(task).or_insert_with(|| TaskWork { names: names(), done: Vec::new() });
        shown.done.clear();
        shown.done.extend(done);
    }

    /// Every operator, sources first, the partitions together.
    pub fn operators(&self) -> Vec<OperatorWork> {
        let mut all: Vec<OperatorWork> = Vec::new();
        let mut first = 0;
        for ((sub_topology, _), task) in &*self.0.lock() {
            if all.last().is_some_and(|last| last.sub_topology != *sub_topology) {
                first = all.len();
            }
            for (index, (name, done)) in task.names.iter().zip(&task.done).enumerate() {
                match all.get_mut(first + index) {
                    Some(known) => known.done = known.done.and(*done),
                    None => all.push(OperatorWork { sub_topology: *sub_topology, name: name.clone(), done: *done }),
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_added_up() {
        let work = Work::default();
        let of = |rows| std::iter::once(Measured { rows, ..Measured::default() });
        let name = |name: &str| vec![name.to_owned()];
        work.show((0, 0), of(1), || name("a"));
        work.show((0, 1), of(2), || name("a"));
        work.show((1, 0), of(9), || name("b"));
        work.show((0, 0), of(5), || unreachable!("it is known"));
        let shown: Vec<_> = work.operators().into_iter().map(|one| (one.sub_topology, one.name, one.done.rows)).collect();
        assert_eq!(shown, [(0, "a".to_owned(), 7), (1, "b".to_owned(), 9)]);
    }
}
