//! Answers that are taken, and that are not.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use futures::task::noop_waker_ref;
use tokio::sync::watch;

use super::super::body::{BrokeOff, Rows};
use super::answer::PIECE_BYTES;
use super::*;

const PATIENCE: Duration = Duration::from_secs(300);

/// Rows without end, which hold something.
struct Endless(Option<Arc<()>>, Option<Bytes>);

impl Stream for Endless {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.0.is_some() { Poll::Ready(Some(Bytes::from_static(&[b'x'; 2_000]))) } else { Poll::Ready(self.1.take()) }
    }
}

impl Rows for Endless {
    fn held_bytes(&self) -> usize {
        1 << 20
    }

    fn cut(mut self: Pin<&mut Self>, reason: &str) {
        *self = Endless(None, Some(Bytes::copy_from_slice(reason.as_bytes())));
    }
}

fn next(answer: &Answer, debts: &Arc<Debts>) -> Option<Result<Bytes, BrokeOff>> {
    match answer.poll(debts, &mut Context::from_waker(noop_waker_ref())) {
        Poll::Ready(frame) => frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default())),
        Poll::Pending => panic!("nothing is there"),
    }
}

fn cut(owed: &Owed, debts: &[&Arc<Debts>], later: Duration) -> usize {
    let mut candidates = Vec::new();
    debts.iter().for_each(|debts| debts.candidates(&mut candidates));
    owed.cut(candidates, Instant::now() + later)
}

#[test]
fn what_was_made_counts_until_it_is_sent() {
    let owed = Owed::new(PATIENCE);
    let debts = Debts::new(owed.clone());
    let (number, answer) = debts.begin(ReplyBody::Whole(vec![b'x'; 100_000].into()));
    assert_eq!(debts.bytes(), 100_000);
    let pieces: Vec<Bytes> = std::iter::from_fn(|| next(&answer, &debts)).map(|piece| piece.expect("whole")).collect();
    assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [PIECE_BYTES, 100_000 - PIECE_BYTES]);
    debts.end(number);
    drop(answer);
    assert_eq!((debts.bytes(), owed.bytes()), (100_000, 100_000), "the transport has it");
    drop(pieces);
    assert_eq!((debts.bytes(), owed.bytes()), (0, 0));
    let (_, answer) = debts.begin(ReplyBody::Chunks(VecDeque::from([Bytes::from_static(b"a"), Bytes::from_static(b"bc")])));
    assert_eq!(debts.bytes(), 3);
    assert!(next(&answer, &debts).is_some() && next(&answer, &debts).is_some() && next(&answer, &debts).is_none());
    assert_eq!(debts.bytes(), 0);
}

#[test]
fn what_nobody_takes_gives_back_what_it_holds_and_says_why() {
    let owed = Owed::new(PATIENCE);
    let debts = Debts::new(owed.clone());
    let held = Arc::new(());
    let (_, rows) = debts.begin(ReplyBody::read(Endless(Some(held.clone()), None)));
    let (_, whole) = debts.begin(ReplyBody::Whole(vec![b'x'; 100_000].into()));
    assert!(next(&rows, &debts).is_some_and(|chunk| chunk.is_ok()));
    assert_eq!(cut(&owed, &[&debts], PATIENCE - Duration::from_secs(1)), 0);
    assert_eq!(Arc::strong_count(&held), 2);
    assert_eq!(cut(&owed, &[&debts], PATIENCE), 2);
    assert_eq!((Arc::strong_count(&held), owed.bytes()), (1, 0));
    let last = next(&rows, &debts).expect("a reason").expect("a chunk");
    assert!(String::from_utf8_lossy(&last).contains("tidemill.push.stall.timeout.ms"), "{last:?}");
    assert_eq!(next(&rows, &debts), None);
    assert_eq!(next(&whole, &debts), Some(Err(BrokeOff)), "it must not be taken for all");
    assert_eq!(cut(&owed, &[&debts], 2 * PATIENCE), 0, "not twice");
}

#[test]
fn who_holds_the_most_is_cut_where_all_hold_too_much() {
    let owed = Owed::new(PATIENCE);
    let (greedy, modest) = (Debts::new(owed.clone()), Debts::new(owed.clone()));
    let (_, small) = modest.begin(ReplyBody::Whole(vec![b'x'; 100_000].into()));
    let large: Vec<_> = (0..=MAX_BYTES >> 20).map(|_| greedy.begin(ReplyBody::Whole(vec![0; 1 << 20].into())).1).collect();
    assert_eq!(cut(&owed, &[&modest, &greedy], Duration::ZERO), 0, "they may be taken yet");
    let ended = cut(&owed, &[&modest, &greedy], CROWDED_PATIENCE + Duration::from_secs(1));
    assert!(ended > 0 && ended < large.len(), "{ended} of {}", large.len());
    assert!(owed.bytes() <= MAX_BYTES);
    assert!(next(&small, &modest).is_some_and(|piece| piece.is_ok()));
    // The first of them, of which nothing was taken for the longest.
    assert_eq!(large.first().and_then(|first| next(first, &greedy)), Some(Err(BrokeOff)));
}

#[tokio::test]
async fn a_connection_answers_no_more_until_something_is_taken() {
    let debts = Debts::new(Owed::new(PATIENCE));
    let mut admitted = Vec::new();
    let most = MAX_CONNECTION_BYTES / RESERVED_BYTES;
    for _ in 0..most {
        admitted.push(debts.admitted().await);
    }
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn({
                let debts = debts.clone();
                async move { debts.admitted().await }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    admitted.truncate(most - 3);
    for waiting in waiting {
        let in_time = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        admitted.push(in_time.expect("room").expect("no panic"));
    }
    assert_eq!((admitted.len(), debts.bytes()), (most, 0));
}

#[tokio::test]
async fn answers_that_take_much_to_be_made_wait_for_each_other_and_for_their_client() {
    let debts = Debts::new(Owed::new(PATIENCE));
    let (release, released) = watch::channel(false);
    let until_released = || {
        let mut released = released.clone();
        tokio::spawn(asking(Some(debts.clone()), large(async move { drop(released.wait_for(|released| *released).await) })))
    };
    let first: Vec<_> = (0..MAX_LARGE).map(|_| until_released()).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = tokio::spawn(asking(Some(debts.clone()), large(async {})));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!second.is_finished());
    // Of another connection, or one that has a request at a time.
    asking(Some(Debts::new(Owed::new(PATIENCE))), large(async {})).await;
    large(async {}).await;
    // The first are there, and nobody takes them.
    let load = debts.load(MAX_CONNECTION_BYTES);
    release.send_replace(true);
    for first in first {
        first.await.expect("no panic");
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!second.is_finished());
    drop(load);
    tokio::time::timeout(Duration::from_secs(20), second).await.expect("in time").expect("no panic");
}

#[test]
fn small_answers_count_while_they_last() {
    let debts = Debts::new(Owed::new(PATIENCE));
    let small = debts.clone().small(100);
    assert_eq!((debts.bytes(), debts.all.bytes()), (100, 100));
    drop(small);
    assert_eq!((debts.bytes(), debts.all.bytes()), (0, 0));
}

#[test]
fn a_connection_is_stuck_that_holds_something_and_takes_nothing() {
    let debts = Debts::new(Owed::new(PATIENCE));
    let (began, patience) = (Instant::now(), Duration::from_secs(10));
    let at = |seconds: u64| debts.is_stuck_for(began + Duration::from_secs(seconds), patience);
    assert_eq!([at(0), at(20)], [false; 2], "it holds nothing");
    let (_, answer) = debts.begin(ReplyBody::Whole(vec![b'x'; 200_000].into()));
    let (_, rows) = debts.begin(ReplyBody::stream(futures::stream::repeat(Bytes::from_static(b"row"))));
    let _first = next(&answer, &debts);
    assert_eq!([at(21), at(30), at(31)], [false, false, true]);
    // Rows of another answer are taken, or a piece of this one.
    assert!(next(&rows, &debts).is_some());
    assert_eq!([at(32), at(41)], [false; 2]);
    let _second = next(&answer, &debts);
    assert_eq!([at(42), at(51), at(52)], [false, false, true]);
}
