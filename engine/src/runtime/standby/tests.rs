//! Servers that follow the tasks of another one, over one simulated log.

use std::collections::BTreeMap;

use super::super::moves_tests::{COUNT, PARTITIONS, Server, Service, both};
use super::super::{Guarantee, LetGo, SlotSet};
use crate::log::{Offset, PartitionId};
use crate::operators::materialized;
use crate::state::StateDb;
use crate::types::Value;

/// Lets a server follow some slots, and do so once.
fn follow(server: &Server, slots: &SlotSet) {
    server.runtime.set_standby_ranks(slots.iter().map(|slot| (*slot, 0)).collect(), true);
    server.runtime.follow();
}

fn lag(server: &Server) -> u64 {
    server.runtime.standby_lags().iter().map(|lag| lag.offsets()).sum()
}

#[test]
fn a_takeover_from_a_standby_reads_only_what_it_had_not_followed() {
    for guarantee in Guarantee::ALL {
        let mut service = Service::new(COUNT, guarantee);
        let all = service.slots(0..PARTITIONS);
        let (mut owner, mut standby) = (service.server("one", &all), service.server("other", &SlotSet::new()));
        let rounds = 40;
        for _ in 0..rounds {
            service.feed();
            owner.work();
            follow(&standby, &all);
        }
        let tasks = usize::try_from(PARTITIONS).unwrap();
        assert_eq!((standby.runtime.standby_tasks(), standby.runtime.tasks()), (tasks, 0));
        assert_eq!(lag(&standby), 0, "{:?}", standby.runtime.standby_lags());
        let per_round = PARTITIONS.unsigned_abs().into();
        assert_eq!(standby.runtime.restored_entries(), (0, rounds * per_round), "each entry is read once");
        // The last of it was not followed.
        service.feed();
        owner.work();
        owner.let_go(&all, LetGo::Committed);
        standby.runtime.take_slots(&all, both()).unwrap();
        assert_eq!((standby.runtime.standby_tasks(), standby.runtime.tasks()), (0, tasks));
        assert_eq!(standby.runtime.restored_entries(), (per_round, rounds * per_round));
        service.feed();
        standby.work();
        service.assert_whole();
        assert_eq!(standby.counts(&service.plan).unwrap().into_values().collect::<Vec<_>>(), vec![service.sent[&0]; tasks]);

        // One that has not followed reads everything.
        let mut late = service.server("late", &SlotSet::new());
        standby.let_go(&all, LetGo::Committed);
        late.runtime.take_slots(&all, both()).unwrap();
        assert_eq!(late.runtime.restored_entries(), ((rounds + 2) * per_round, 0));
        service.feed();
        late.work();
        service.assert_whole();
    }
}

#[test]
fn what_was_followed_is_in_the_folder_for_the_next_start() {
    let mut service = Service::new(COUNT, Guarantee::AtLeastOnce);
    let all = service.slots(0..PARTITIONS);
    let mut owner = service.server("one", &all);
    let state = StateDb::in_memory();
    let standby = service.server_over(state.clone(), "other", &SlotSet::new());
    for _ in 0..5 {
        service.feed();
        owner.work();
    }
    follow(&standby, &all);
    standby.runtime.standbys.end();
    drop(standby);
    let mut again = service.server_over(state, "other", &SlotSet::new());
    follow(&again, &all);
    assert_eq!(again.runtime.restored_entries(), (0, 0), "it goes on where it was");
    owner.let_go(&all, LetGo::Committed);
    again.runtime.take_slots(&all, both()).unwrap();
    assert_eq!(again.runtime.restored_entries(), (0, 0));
    service.feed();
    again.work();
    service.assert_whole();
}

/// A server that was replaced goes on writing. What it writes is neither followed nor owed for ever.
#[test]
fn what_a_server_writes_late_is_not_followed() {
    for guarantee in Guarantee::ALL {
        let mut service = Service::new(COUNT, guarantee);
        let all = service.slots(0..PARTITIONS);
        let mut zombie = service.server("zombie", &all);
        let (mut owner, mut standby) = (service.server("one", &SlotSet::new()), service.server("other", &SlotSet::new()));
        service.feed();
        zombie.work();
        follow(&standby, &all);
        owner.runtime.take_slots(&all, both()).unwrap();
        for _ in 0..4 {
            service.feed();
            zombie.work();
            follow(&standby, &all);
            owner.work();
            follow(&standby, &all);
        }
        zombie.work();
        // It finds what came late, and writes its own again.
        for _ in 0..3 {
            service.feed();
            owner.work();
        }
        follow(&standby, &all);
        assert_eq!(lag(&standby), 0, "{:?}", standby.runtime.standby_lags());
        drop((zombie, owner));
        standby.runtime.take_slots(&all, ["other".to_owned()].into()).unwrap();
        service.feed();
        standby.work();
        let counts: BTreeMap<String, i64> = service.sent.iter().map(|(partition, sent)| (format!("k{partition}"), *sent)).collect();
        assert_eq!(standby.counts(&service.plan).unwrap(), counts, "{guarantee:?}");
    }
}

#[test]
fn a_standby_ends_where_its_slot_goes_elsewhere_and_with_its_query() {
    let mut service = Service::new(COUNT, Guarantee::AtLeastOnce);
    let (all, half) = (service.slots(0..PARTITIONS), service.slots([0, 1, 2]));
    let mut owner = service.server("one", &all);
    let mut standby = service.server("other", &SlotSet::new());
    service.feed();
    owner.work();
    follow(&standby, &all);
    assert_eq!(standby.runtime.standby_tasks(), 6);
    follow(&standby, &half);
    assert_eq!(standby.runtime.standby_tasks(), 3);
    // What runs here is not followed, and is again once it has gone.
    owner.let_go(&half, LetGo::Committed);
    standby.runtime.take_slots(&half, both()).unwrap();
    follow(&standby, &half);
    assert_eq!((standby.runtime.standby_tasks(), standby.runtime.tasks()), (0, 3));
    standby.runtime.release_slots(&half, LetGo::Committed);
    follow(&standby, &half);
    assert_eq!(standby.runtime.standby_tasks(), 0, "its last commit is still to come");
    standby.work();
    follow(&standby, &half);
    assert_eq!(standby.runtime.standby_tasks(), 3);
    // A query that has fewer standbys than this one's rank.
    standby.runtime.set_standby_ranks(all.iter().map(|slot| (*slot, 1)).collect(), false);
    standby.runtime.follow();
    assert_eq!(standby.runtime.standby_tasks(), 0);
    follow(&standby, &all);
    assert!(standby.runtime.stop(&service.plan.query_id), "nothing keeps it");
    standby.runtime.follow();
    assert_eq!((standby.runtime.standby_tasks(), standby.runtime.standby_lags()), (0, Vec::new()));
    standby.runtime.forget(&service.plan.query_id, &[]);
    assert!(standby.runtime.parts().state.positions(&service.plan.query_id).unwrap().is_empty());
}

#[test]
fn what_is_read_is_as_of_the_last_commit_that_was_followed_and_not_too_far_behind() {
    let mut service = Service::new(COUNT, Guarantee::ExactlyOnce);
    let (all, reader) = (service.slots(0..PARTITIONS), materialized::reader(&service.plan).unwrap());
    let (mut owner, standby) = (service.server("one", &all), service.server("other", &SlotSet::new()));
    let partitions: Vec<_> = (0..PARTITIONS).collect();
    let of = |partitions: &[PartitionId]| standby.runtime.standbys_of(&service.plan.query_id, reader.stores(), partitions);
    assert!(of(&partitions).is_empty(), "nothing is followed yet");
    for _ in 0..3 {
        service.feed();
        owner.work();
    }
    follow(&standby, &all);
    service.feed();
    owner.work();
    let of = |partitions: &[PartitionId]| standby.runtime.standbys_of(&service.plan.query_id, reader.stores(), partitions);
    let standbys = of(&partitions);
    assert_eq!(standbys.iter().map(|standby| standby.partition).collect::<Vec<_>>(), partitions);
    for followed in &standbys {
        let (reading, mut counts) = (followed.read(0).unwrap(), Vec::new());
        let read = reader.scan(0, &[], None, &reading.readers, &mut |_, row| {
            counts.push(row.values.clone());
            true
        });
        read.unwrap();
        assert_eq!(counts, [vec![Value::string(format!("k{}", followed.partition)), Value::BigInt(3)]]);
    }
    // It has seen that there is more, and not read it.
    for (follower, _) in standby.runtime.standbys.followers.lock().by_task.values() {
        let behind = follower.lags().iter().map(|lag| Offset(lag.included.0 + 5)).collect();
        drop(follower.see(behind, std::time::Instant::now()));
    }
    for followed in &standbys {
        assert!(followed.read(5).is_ok());
        let refused = followed.read(4).err().unwrap();
        assert!(refused.contains(&format!("partition {}", followed.partition)) && refused.contains("5 offsets behind"), "{refused}");
    }
}
