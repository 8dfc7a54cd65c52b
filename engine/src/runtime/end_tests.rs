//! What an orderly end leaves to the next start: nothing.

use crossbeam_channel::bounded;

use super::lab::{Lab, start};
use super::worker::{Message, Step};
use super::{Guarantee, StartQuery};
use crate::log::{Log, OffsetSpec, TopicPartition};

#[test]
fn a_start_behind_an_orderly_end_has_nothing_to_read() {
    for guarantee in Guarantee::ALL {
        let mut lab = Lab::new(false);
        lab.topic("s");
        lab.topic("C");
        let plan = lab.plan(
            "CREATE STREAM S (K STRING KEY, V STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
             CREATE TABLE C WITH (KAFKA_TOPIC='C') AS SELECT K, COUNT(*) AS N FROM S GROUP BY K;",
        );
        let begin = StartQuery { guarantee, ..start(&plan, None) };
        let behind = |lab: &Lab| {
            let changelog = TopicPartition { topic: lab.changelog(&plan.query_id).into(), partition: 0 };
            let end = lab.log.offsets(std::slice::from_ref(&changelog), OffsetSpec::Latest).unwrap()[0];
            end.0 - lab.parts().state.positions(&plan.query_id).unwrap()[&changelog].0
        };
        for life in 0..3_i64 {
            lab.runtime.start_query(begin.clone()).unwrap();
            for number in 1..=3 {
                lab.append("s", "a", "{}");
                lab.work_until(|lab| lab.committed(&plan.query_id, "s") == Some(3 * life + number));
            }
            let (done, ended) = bounded(1);
            lab.runtime.broadcast(|_| Message::Shutdown { done: done.clone() });
            assert_eq!(lab.worker.as_mut().unwrap().step(), Step::Ended);
            ended.recv().unwrap();
            lab.parts().state.settle().unwrap();
            assert_eq!(behind(&lab), 0, "{guarantee:?}");
            lab.restart();
        }
        // Nor has one behind an end that came before anything was committed.
        lab.runtime.start_query(begin).unwrap();
        let (done, _ended) = bounded(1);
        lab.runtime.broadcast(|_| Message::Shutdown { done: done.clone() });
        assert_eq!(lab.worker.as_mut().unwrap().step(), Step::Ended);
        lab.parts().state.settle().unwrap();
        assert_eq!(behind(&lab), 0, "{guarantee:?}");
    }
}
