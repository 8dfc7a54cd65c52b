//! Topics that are deleted or made anew under a query, and between two of its lives.

use std::collections::BTreeSet;

use super::lab::{Lab, start};
use super::{Guarantee, QueryState, StartError, StartQuery};
use crate::log::{Log, TopicSpec};

const COUNT: &str = "CREATE STREAM S (K STRING KEY, V STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
                     CREATE TABLE C WITH (KAFKA_TOPIC='C') AS SELECT K, COUNT(*) AS N FROM S GROUP BY K;";
const BY_VALUE: &str = "CREATE STREAM S (K STRING KEY, V STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
                        CREATE TABLE C WITH (KAFKA_TOPIC='C') AS SELECT V, COUNT(*) AS N FROM S GROUP BY V;";

/// A lab whose query has counted these.
fn counted(script: &str, records: usize) -> (Lab, std::sync::Arc<crate::plan::QueryPlan>) {
    let mut lab = Lab::new(false);
    lab.topic("s");
    lab.topic("C");
    let plan = lab.plan(script);
    let handle = lab.start(&plan);
    for _ in 0..records {
        lab.append("s", "a", r#"{"V": "x"}"#);
    }
    let wanted = i64::try_from(records).unwrap();
    lab.work_until(|lab| lab.committed(&handle.id, "s") == Some(wanted) && last(lab) == Some(wanted));
    // The marks as well.
    assert!(lab.runtime.handle(&handle.id).is_some());
    lab.work();
    (lab, plan)
}

/// The count that was written last.
fn last(lab: &Lab) -> Option<i64> {
    let value: serde_json::Value = serde_json::from_str(lab.values("C").last()?).ok()?;
    value["N"].as_i64()
}

fn remake(lab: &Lab, topic: &str, partitions: u32) {
    lab.log.delete_topic(topic).unwrap();
    lab.log.create_topic(&TopicSpec { name: topic.to_owned(), partitions, replicas: 1, config: Default::default() }).unwrap();
}

/// What a start after a restart says.
fn refusal(lab: &mut Lab, plan: &std::sync::Arc<crate::plan::QueryPlan>) -> String {
    lab.restart();
    match lab.runtime.start_query(start(plan, None)) {
        Err(error @ StartError::Swapped(_)) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it starts"),
    }
}

fn accepting(plan: &std::sync::Arc<crate::plan::QueryPlan>, topic: &str) -> StartQuery {
    StartQuery { accepts: BTreeSet::from([topic.to_owned()]), ..start(plan, None) }
}

#[test]
fn a_changelog_that_has_gone_is_filled_from_the_state() {
    for is_made_anew in [false, true] {
        let (mut lab, plan) = counted(COUNT, 5);
        let changelog = lab.changelog(&plan.query_id);
        if is_made_anew {
            remake(&lab, &changelog, 1);
        } else {
            lab.log.delete_topic(&changelog).unwrap();
        }
        lab.restart();
        lab.start(&plan);
        let info = lab.log.describe_topic(&changelog).unwrap().unwrap();
        assert_eq!(info.config.get("cleanup.policy").map(String::as_str), Some("compact"));
        lab.append("s", "a", r#"{"V": "x"}"#);
        lab.work_until(|lab| last(lab) == Some(6));
        lab.work();
        // It is whole: a server without any state gets all from it.
        let mut other = Lab::new(false);
        other.log = lab.log.clone();
        let parts = super::RuntimeParts { log: std::sync::Arc::new(lab.log.clone()), ..other.parts() };
        let (runtime, mut workers) = super::Runtime::by_hand(parts, super::lab::config());
        (other.runtime, other.worker) = (runtime, workers.pop());
        other.start(&plan);
        other.append("s", "a", r#"{"V": "x"}"#);
        other.work_until(|lab| last(lab) == Some(7));
    }
}

#[test]
fn a_start_that_dies_while_a_changelog_is_filled_fills_it_again() {
    let (mut lab, plan) = counted(COUNT, 5);
    let changelog = lab.changelog(&plan.query_id);
    lab.log.delete_topic(&changelog).unwrap();
    // Made, and not filled.
    lab.log.create_topic(&TopicSpec { name: changelog.clone(), partitions: 1, replicas: 1, config: Default::default() }).unwrap();
    lab.append(&changelog, "half", "filled");
    lab.restart();
    lab.start(&plan);
    lab.append("s", "a", r#"{"V": "x"}"#);
    lab.work_until(|lab| last(lab) == Some(6));
    assert!(!lab.values(&changelog).contains(&"filled".to_owned()));
}

#[test]
fn a_source_that_was_made_anew_is_read_when_somebody_says_so() {
    let (mut lab, plan) = counted(COUNT, 3);
    remake(&lab, "s", 1);
    // More than were committed: their offsets fit.
    for _ in 0..10 {
        lab.append("s", "a", r#"{"V": "x"}"#);
    }
    let said = refusal(&mut lab, &plan);
    assert!(said.contains("topic 's', which the query reads, was deleted and made anew") && said.contains("RESUME"), "{said}");
    lab.runtime.start_query(accepting(&plan, "s")).unwrap();
    lab.work_until(|lab| last(lab) == Some(13));
    // It is known from then on.
    lab.restart();
    lab.start(&plan);
    lab.append("s", "a", r#"{"V": "x"}"#);
    lab.work_until(|lab| last(lab) == Some(14));
}

#[test]
fn a_sink_that_was_made_anew_stops_the_query() {
    let (mut lab, plan) = counted(COUNT, 3);
    remake(&lab, "C", 2);
    let said = refusal(&mut lab, &plan);
    assert!(said.contains("topic 'C', which the query writes, was deleted and made anew") && said.contains("2 partitions"), "{said}");
    lab.runtime.start_query(accepting(&plan, "C")).unwrap();
    lab.append("s", "a", r#"{"V": "x"}"#);
    lab.work_until(|lab| last(lab) == Some(4));
}

#[test]
fn a_repartition_topic_that_has_gone_stops_the_query() {
    for partitions in [None, Some(1), Some(2)] {
        let (mut lab, plan) = counted(BY_VALUE, 3);
        let topics = lab.runtime.internal_topics(&plan);
        let repartition = topics.iter().find(|topic| !topic.ends_with("-changelog")).unwrap().clone();
        match partitions {
            Some(partitions) => remake(&lab, &repartition, partitions),
            None => lab.log.delete_topic(&repartition).unwrap(),
        }
        let said = refusal(&mut lab, &plan);
        assert!(said.contains(&repartition) && said.contains("keeps to itself") && said.contains("RESUME"), "{said}");
        lab.runtime.start_query(accepting(&plan, &repartition)).unwrap();
        assert_eq!(lab.log.describe_topic(&repartition).unwrap().unwrap().partitions, 1);
        lab.append("s", "a", r#"{"V": "x"}"#);
        lab.work_until(|lab| last(lab) == Some(4));
    }
}

#[test]
fn what_changes_under_a_query_ends_it() {
    for topic in ["s", "C", "changelog", "repartition"] {
        for is_made_anew in [false, true] {
            let (lab, plan) = counted(BY_VALUE, 3);
            let internal = lab.runtime.internal_topics(&plan);
            let name = match topic {
                "changelog" => internal.iter().find(|name| name.ends_with("-changelog")).unwrap().clone(),
                "repartition" => internal.iter().find(|name| !name.ends_with("-changelog")).unwrap().clone(),
                other => other.to_owned(),
            };
            let handle = lab.runtime.handle(&plan.query_id).unwrap();
            assert_eq!(lab.runtime.check_topics(0).unwrap(), Vec::<String>::new());
            if is_made_anew {
                remake(&lab, &name, 1);
                assert_eq!(lab.runtime.check_topics(0).unwrap(), std::slice::from_ref(&plan.query_id), "{name}");
            } else {
                lab.log.delete_topic(&name).unwrap();
                assert!(lab.runtime.check_topics(0).unwrap().is_empty(), "one look is not enough: a broker may be starting");
                // Sources are looked at elsewhere.
                let expected = if topic == "s" { Vec::new() } else { vec![plan.query_id.clone()] };
                assert_eq!(lab.runtime.check_topics(10_000).unwrap(), expected, "{name}");
            }
            match handle.state() {
                QueryState::Failed(failure) => assert!(failure.reason.contains(&name), "{}", failure.reason),
                state => assert!(topic == "s" && !is_made_anew, "{state:?}"),
            }
        }
    }
}

/// A lab with a query without state that has committed.
fn copied(guarantee: Guarantee) -> (Lab, StartQuery) {
    let mut lab = Lab::new(false);
    lab.topic("s");
    lab.topic("C");
    let plan = lab.plan(
        "CREATE STREAM S (K STRING KEY, V STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
         CREATE STREAM C WITH (KAFKA_TOPIC='C') AS SELECT K, V FROM S;",
    );
    let begin = StartQuery { guarantee, ..start(&plan, None) };
    lab.runtime.start_query(begin.clone()).unwrap();
    lab.append("s", "a", r#"{"V": "x"}"#);
    lab.work_until(|lab| {
        lab.runtime.marks.of(&plan.query_id, 0, 0).is_some_and(|marked| marked.inputs.iter().any(|(_, next)| next.0 == 1))
    });
    (lab, begin)
}

#[test]
fn where_the_topic_of_positions_has_gone_only_exactly_once_has_to_ask() {
    for guarantee in [Guarantee::AtLeastOnce, Guarantee::ExactlyOnce] {
        let (mut lab, begin) = copied(guarantee);
        let topic = lab.runtime.marks.topic().to_owned();
        lab.log.delete_topic(&topic).unwrap();
        lab.restart();
        let started = lab.runtime.start_query(begin.clone());
        match (guarantee, started) {
            (Guarantee::AtLeastOnce, Ok(_)) => {}
            (Guarantee::ExactlyOnce, Err(StartError::Swapped(swapped))) => {
                let said = swapped.to_string();
                assert!(said.contains(&topic) && said.contains("consumer group") && said.contains("RESUME"), "{said}");
                lab.runtime.start_query(StartQuery { accepts: BTreeSet::from([topic]), ..begin }).unwrap();
            }
            (_, other) => panic!("{guarantee:?}: {:?}", other.map(|_| ())),
        }
        lab.append("s", "a", r#"{"V": "y"}"#);
        lab.work_until(|lab| lab.values("C").iter().any(|value| value.contains('y')));
    }
}

#[test]
fn positions_that_are_known_by_heart_are_written_to_a_new_topic() {
    for guarantee in [Guarantee::AtLeastOnce, Guarantee::ExactlyOnce] {
        let (mut lab, begin) = copied(guarantee);
        let query = begin.plan.query_id.clone();
        lab.log.delete_topic(lab.runtime.marks.topic()).unwrap();
        assert!(lab.runtime.check_topics(0).unwrap().is_empty());
        assert_eq!(lab.runtime.check_topics(10_000).unwrap(), std::slice::from_ref(&query));
        lab.runtime.stop_soon(&query);
        lab.work();
        lab.runtime.start_query(begin.clone()).unwrap();
        lab.append("s", "a", r#"{"V": "y"}"#);
        let read = |lab: &Lab, next: i64| {
            lab.runtime.marks.of(&query, 0, 0).is_some_and(|marked| marked.inputs.iter().any(|(_, offset)| offset.0 == next))
        };
        lab.work_until(|lab| read(lab, 2));
        // And the next life knows them.
        lab.restart();
        lab.runtime.start_query(begin).unwrap();
        lab.append("s", "a", r#"{"V": "z"}"#);
        lab.work_until(|lab| read(lab, 3));
        // The ends of transactions have no values.
        let rows = lab.values("C").iter().filter(|value| !value.is_empty()).count();
        assert_eq!(rows, 3, "{guarantee:?}");
    }
}

#[test]
fn a_topic_of_positions_that_holds_none_is_missed_where_transactions_need_it() {
    for is_made_anew in [false, true] {
        let mut lab = Lab::new(false);
        lab.topic("s");
        lab.topic("C");
        let plan = lab.plan(COUNT);
        let begin = StartQuery { guarantee: Guarantee::ExactlyOnce, ..start(&plan, None) };
        lab.runtime.start_query(begin.clone()).unwrap();
        lab.append("s", "a", r#"{"V": "x"}"#);
        lab.work_until(|lab| lab.committed(&plan.query_id, "s") == Some(1));
        let topic = lab.runtime.marks.topic().to_owned();
        if is_made_anew {
            remake(&lab, &topic, 16);
        } else {
            lab.log.delete_topic(&topic).unwrap();
            assert!(lab.runtime.check_topics(0).unwrap().is_empty(), "one look is not enough: a broker may be starting");
        }
        assert_eq!(lab.runtime.check_topics(10_000).unwrap(), std::slice::from_ref(&plan.query_id));
        lab.runtime.stop_soon(&plan.query_id);
        lab.work();
        lab.runtime.start_query(begin.clone()).unwrap();
        lab.append("s", "a", r#"{"V": "x"}"#);
        lab.work_until(|lab| lab.committed(&plan.query_id, "s") == Some(2));
        assert!(lab.log.describe_topic(&topic).unwrap().is_some());
        assert!(lab.runtime.check_topics(20_000).unwrap().is_empty(), "it is known");
        // Where it went while no process ran, nothing is asked.
        lab.log.delete_topic(&topic).unwrap();
        lab.restart();
        lab.runtime.start_query(begin).unwrap();
        lab.append("s", "a", r#"{"V": "x"}"#);
        lab.work_until(|lab| lab.committed(&plan.query_id, "s") == Some(3));
        let counts: Vec<String> = lab.values("C").into_iter().filter(|value| !value.is_empty()).collect();
        assert_eq!(counts, [r#"{"N":1}"#, r#"{"N":2}"#, r#"{"N":3}"#]);
    }
}

#[test]
fn a_resume_that_dies_before_its_first_commit_has_begun_anew() {
    const COPY: &str = "CREATE STREAM S (K STRING KEY, V STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
                        CREATE STREAM C WITH (KAFKA_TOPIC='C') AS SELECT K, V FROM S;";
    for (guarantee, script) in Guarantee::ALL.into_iter().flat_map(|guarantee| [COPY, COUNT, BY_VALUE].map(|script| (guarantee, script))) {
        let mut lab = Lab::new(false);
        lab.topic("s");
        lab.topic("C");
        let plan = lab.plan(script);
        let begin = StartQuery { guarantee, ..start(&plan, None) };
        // The ends of transactions have no values.
        let rows = |lab: &Lab| lab.values("C").iter().filter(|value| !value.is_empty()).count();
        lab.runtime.start_query(begin.clone()).unwrap();
        for _ in 0..3 {
            lab.append("s", "a", r#"{"V": "x"}"#);
        }
        let in_count =
            |lab: &Lab, count: usize| if script == COPY { rows(lab) == count } else { last_row(lab) == i64::try_from(count).ok() };
        lab.work_until(|lab| in_count(lab, 3) && lab.committed(&plan.query_id, "s") == Some(3));
        lab.work();
        remake(&lab, "s", 1);
        // More than were committed: their offsets fit.
        for _ in 0..5 {
            lab.append("s", "a", r#"{"V": "x"}"#);
        }
        lab.restart();
        lab.runtime.start_query(StartQuery { accepts: BTreeSet::from(["s".to_owned()]), ..begin.clone() }).unwrap();
        // Nothing has had its turn yet.
        lab.restart();
        lab.runtime.start_query(begin.clone()).unwrap();
        lab.work_until(|lab| in_count(lab, 8));
        lab.append("s", "a", r#"{"V": "x"}"#);
        lab.work_until(|lab| in_count(lab, 9) && lab.committed(&plan.query_id, "s") == Some(6));
        // And once it has committed it is as any other.
        lab.restart();
        lab.runtime.start_query(begin).unwrap();
        lab.append("s", "a", r#"{"V": "x"}"#);
        lab.work_until(|lab| in_count(lab, 10) && lab.committed(&plan.query_id, "s") == Some(7));
    }
}

/// The count that was written last; what ends a transaction is none.
fn last_row(lab: &Lab) -> Option<i64> {
    let values = lab.values("C");
    let value: serde_json::Value = serde_json::from_str(values.iter().rfind(|value| !value.is_empty())?).ok()?;
    value["N"].as_i64()
}

#[test]
fn a_query_that_is_gone_is_forgotten() {
    let (lab, plan) = counted(COUNT, 1);
    let known = || super::all_known_topics(&lab.parts().state).unwrap();
    assert_eq!(known()[&plan.query_id].len(), 3);
    lab.runtime.stop_soon(&plan.query_id);
    let mut lab_worker = lab;
    lab_worker.work();
    lab_worker.runtime.forget(&plan.query_id, &lab_worker.runtime.internal_topics(&plan));
    assert!(super::all_known_topics(&lab_worker.parts().state).unwrap().is_empty());
}
