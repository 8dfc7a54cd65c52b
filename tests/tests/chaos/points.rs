//! The server dies at each of the engine's named points; and is told of an error at those where there can be one.

use std::time::{Duration, Instant};

use tidemill_engine::points::Point;
use tidemill_tests::server::ServerProcess;

use super::arena::{Arena, PATIENCE, turn};
use super::report::{Row, count, factor, seeded, tail};
use super::statements;

/// Points of a short round, others each time.
const SHORT_POINTS: usize = 8;

/// Where a point is passed.
#[derive(Clone, Copy)]
enum Passed {
    /// All the time, under load. So often it is passed before it strikes, at most.
    Running(u64),
    Opening,
    Closing,
    /// Where a statement is carried out.
    Stating,
    /// Where something else has failed before.
    GoingBack,
}

/// `None`: with this guarantee it is not passed. A new point has its place said here.
fn passed(point: Point, exactly_once: bool) -> Option<Passed> {
    Some(match point {
        // A transaction is flushed and sealed by its end.
        Point::FlushBefore | Point::FlushAfter | Point::SealAfter if exactly_once => return None,
        Point::TransactionBegun
        | Point::TransactionEndBefore
        | Point::TransactionEndAfter
        | Point::TransactionalIdBefore
        | Point::TransactionalIdAfter
            if !exactly_once =>
        {
            return None;
        }
        Point::TransactionBegun | Point::TransactionEndBefore | Point::TransactionEndAfter => Passed::Running(12),
        Point::TransactionalIdBefore | Point::TransactionalIdAfter => Passed::Opening,
        Point::OffsetsSend | Point::OffsetsSent => Passed::Running(3),
        Point::ProduceBefore | Point::ProduceAfter => Passed::Running(200),
        Point::FlushBefore
        | Point::FlushAfter
        | Point::CommitBegin
        | Point::CommitFrozen
        | Point::CommitMarked
        | Point::CommitDone
        | Point::CommitEnd
        | Point::FreezeBefore
        | Point::FreezeAfter
        | Point::ChangelogBetween
        | Point::SealAfter
        | Point::MarkBefore
        | Point::MarkBetween
        | Point::MarkAfter
        | Point::StateHandOver
        | Point::OffsetsBefore
        | Point::OffsetsAfter
        | Point::StateWriteBefore
        | Point::StateWriteAfter => Passed::Running(12),
        Point::RollBackBefore | Point::RollBackAfter => Passed::GoingBack,
        Point::RestoreBegin
        | Point::RestoreChosen
        | Point::RestoreRead
        | Point::RestoreEnd
        | Point::OpenBegin
        | Point::OpenState
        | Point::OpenLog
        | Point::OpenClaimed
        | Point::OpenCommands
        | Point::OpenReplayed
        | Point::QueryStartBefore
        | Point::QueryStartAfter => Passed::Opening,
        Point::CloseBegin | Point::CloseCommitted | Point::CloseEnd => Passed::Closing,
        Point::CommandAppendBefore
        | Point::CommandAppendAfter
        | Point::CommandApplied
        | Point::TopicCreateBefore
        | Point::TopicCreateAfter
        | Point::TopicDeleteBefore
        | Point::TopicDeleteAfter
        | Point::DropAppended
        | Point::DropDone
        | Point::CreateTopicMade
        | Point::CreateDone => Passed::Stating,
    })
}

/// Waits for the end that was planned.
fn wait_for_end(server: &mut ServerProcess, point: Point) {
    let began = Instant::now();
    while !server.has_ended() {
        assert!(began.elapsed() < PATIENCE, "{} is not passed:\n{}", point.name(), tail(&server.log()));
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn die_at_each_point(test: &'static str, exactly_once: bool, each: usize) {
    let Some(mut turn) = turn(test) else { return };
    let arena = Arena::new(test, &mut turn, exactly_once);
    let (mut random, seed) = seeded();
    let server = arena.start();
    arena.create_queries(&server);
    let load = arena.load();
    server.kill();
    let mut points: Vec<Point> = Point::ALL.iter().copied().filter(|point| passed(*point, exactly_once).is_some()).collect();
    if factor().is_none() {
        for last in (1..points.len()).rev() {
            points.swap(last, random.between(0, last as u64 + 1) as usize);
        }
        points.truncate(SHORT_POINTS);
    }
    let planned = points.len() * each;
    let mut hit = 0;
    for round in 0..each {
        for point in &points {
            let Some(place) = passed(*point, exactly_once) else { continue };
            let name = point.name();
            // kill -9 mostly; the others run what is to be run at the end of a process, or of a thread.
            let how = *random.pick(&["kill", "kill", "kill", "abort", "exit"]);
            let times = match place {
                Passed::Running(often) => random.between(0, often),
                Passed::Opening if *point == Point::RestoreRead || *point == Point::RestoreEnd => random.between(0, 6),
                Passed::Opening if *point == Point::QueryStartBefore || *point == Point::QueryStartAfter => random.between(0, 5),
                _ => 0,
            };
            let skipped = if times > 0 { format!("{times}*off->") } else { String::new() };
            let mut failpoints = format!("{name}={skipped}return({how})");
            if matches!(place, Passed::GoingBack) {
                failpoints.push_str(&format!(";commit.marked={}*off->1*return(error)->off", random.between(1, 6)));
            }
            let said = format!("FAULT at {name}: {how}");
            let before = arena.log().matches(&said).count();
            let mut server = arena.begin_faulty(&failpoints);
            match place {
                Passed::Running(_) | Passed::Opening | Passed::GoingBack => {}
                Passed::Closing => {
                    assert!(server.is_up(PATIENCE), "{}", tail(&server.log()));
                    server.signal(libc::SIGTERM);
                }
                Passed::Stating => {
                    // A start clears what an earlier death has left, and may pass the point by that already.
                    if server.is_up(PATIENCE) {
                        statements::until_it_dies(&mut server, *point, round);
                    }
                }
            }
            wait_for_end(&mut server, *point);
            let happened = server.log().matches(&said).count() > before;
            hit += usize::from(happened);
            if !happened {
                println!("{name}: {failpoints} did not happen:\n{}", tail(&server.log()));
            }
        }
    }
    let server = arena.start();
    let clicks = load.stop();
    let mut verdict = arena.verdict(&server);
    verdict.wrong.extend(statements::left_over(&server));
    let note = format!("{} points, {each} times each; {clicks} clicks", points.len());
    Row { test, planned, hit, seed, seconds: arena.seconds(), note }.end(&verdict, &server.log());
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn named_points_at_least_once() {
    die_at_each_point("named_points_at_least_once", false, count(1, 20));
}

#[test]
fn named_points_exactly_once() {
    die_at_each_point("named_points_exactly_once", true, count(1, 20));
}

/// Points where the log fails for now, in the middle of a commit.
const ERRORS: [Point; 13] = [
    Point::TransactionBegun,
    Point::TransactionEndBefore,
    // The acknowledgement of a transaction is lost.
    Point::TransactionEndAfter,
    Point::CommitBegin,
    Point::CommitFrozen,
    Point::CommitMarked,
    Point::FlushBefore,
    Point::FlushAfter,
    Point::ChangelogBetween,
    Point::SealAfter,
    Point::MarkBefore,
    Point::MarkBetween,
    Point::StateHandOver,
];

fn errors_in_commits(test: &'static str, exactly_once: bool, each: usize) {
    let Some(mut turn) = turn(test) else { return };
    let arena = Arena::new(test, &mut turn, exactly_once);
    let (mut random, seed) = seeded();
    let server = arena.start();
    arena.create_queries(&server);
    server.kill();
    let load = arena.load();
    let errors: Vec<Point> = ERRORS.into_iter().filter(|point| passed(*point, exactly_once).is_some()).collect();
    let (mut hit, planned) = (0, errors.len() * each);
    for round in 0..each {
        let mut points: Vec<String> = Vec::new();
        for point in &errors {
            points.push(format!("{}={}*off->1*return(error {round})->off", point.name(), random.between(2, 40)));
        }
        let mut server = arena.begin_faulty(&points.join(";"));
        assert!(server.is_up(PATIENCE), "{}", tail(&server.log()));
        let said = |server: &ServerProcess| {
            let log = server.log();
            errors.iter().filter(|point| log.contains(&format!("FAULT at {}: error {round}\n", point.name()))).count()
        };
        let began = Instant::now();
        while said(&server) < errors.len() && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        hit += said(&server);
        // Some time after the last one.
        std::thread::sleep(Duration::from_millis(random.between(100, 600)));
        // The errors must not add to those of a crash, nor hide them: half of the servers end in order.
        if random.percent(50) {
            server.kill();
        } else {
            assert_eq!(server.terminate(), Some(0));
        }
    }
    let server = arena.start();
    let clicks = load.stop();
    let verdict = arena.verdict(&server);
    let note = format!("{} points, {each} times each; {clicks} clicks", errors.len());
    Row { test, planned, hit, seed, seconds: arena.seconds(), note }.end(&verdict, &server.log());
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn errors_in_commits_at_least_once() {
    errors_in_commits("errors_in_commits_at_least_once", false, count(1, 20));
}

#[test]
fn errors_in_commits_exactly_once() {
    errors_in_commits("errors_in_commits_exactly_once", true, count(1, 20));
}

#[test]
fn the_binary_that_users_get_has_no_points() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let faults = [("FAILPOINTS", "open.begin=return(exit);commit.begin=return(kill)")];
    let server = ServerProcess::start_in(&folder.path().join("data"), &[], &faults);
    server.ksql(
        "CREATE STREAM s (n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE STREAM t AS SELECT n FROM s; INSERT INTO s (n) VALUES (1);",
    );
    server.pull_until("SELECT n FROM t;", PATIENCE, |rows| rows.len() == 1);
    assert_eq!(server.terminate(), Some(0));
    // And the other one has them.
    let mut faulty = ServerProcess::begin_faulty(&folder.path().join("other"), &[], "open.begin=return(exit)");
    wait_for_end(&mut faulty, Point::OpenBegin);
    assert!(faulty.log().contains("FAULT at open.begin: exit"), "{}", faulty.log());
}
