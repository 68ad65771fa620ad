//! What a tail keeps, for how long, and whom it wakes.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use octa_plugin_api::Payload;

use super::*;

/// Counts how often it is woken.
#[derive(Debug, Default)]
struct Bell(AtomicUsize);

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn change(key: &str, version: u64) -> Change {
    Change::new("a", key, version, Some(Payload::from(&b"1"[..])))
}

/// Commits a change of each key, with the versions that follow `last`.
fn commit(tail: &Tail, last: &mut u64, keys: &[&str]) {
    let changes: Vec<_> = keys
        .iter()
        .zip(*last + 1..)
        .map(|(key, version)| change(key, version))
        .collect();
    *last += keys.len() as u64;
    tail.push(*last, || changes).wake();
}

/// Polls once; what is told is shown as versions, where to go on, and whether some are missed.
fn hear(tail: &Tail, since: Since<'_>) -> Option<(Vec<u64>, u64, bool)> {
    let waiting = pin!(tail.since(since));
    match waiting.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(told) => {
            let told = told.expect("is open");
            let versions = told.changes.iter().map(|change| change.version);
            Some((versions.collect(), told.next, told.missed))
        }
        Poll::Pending => None,
    }
}

fn since(prefix: &str, after: u64) -> Since<'_> {
    Since::new("a", prefix, Some(after)).expect("valid")
}

#[test]
fn nothing_is_kept_while_nobody_watches() {
    let tail = Tail::new(5);
    tail.push(6, || -> Vec<Change> { panic!("nobody asked") })
        .wake();
    assert_eq!(
        hear(&tail, since("", 5)),
        Some((vec![], 6, true)),
        "what nobody kept"
    );
    let mut last = 6;
    commit(&tail, &mut last, &["k"]);
    assert_eq!(
        hear(&tail, since("", 6)),
        Some((vec![7], 7, false)),
        "what was asked for"
    );
}

#[test]
fn from_now_on_is_told_at_once() {
    let tail = Tail::new(5);
    assert_eq!(hear(&tail, Since::all(None)), Some((vec![], 5, false)));
    let mut last = 5;
    commit(&tail, &mut last, &["k", "l", "k"]);
    assert_eq!(hear(&tail, Since::all(None)), Some((vec![], 8, false)));
    assert_eq!(
        hear(&tail, Since::all(Some(5))),
        Some((vec![6, 7, 8], 8, false))
    );
    assert_eq!(hear(&tail, since("k", 5)), Some((vec![6, 8], 8, false)));
    assert_eq!(hear(&tail, since("k", 6)), Some((vec![8], 8, false)));
    assert_eq!(
        hear(&tail, since("m", 5)),
        None,
        "told of what was not asked for"
    );
    assert_eq!(hear(&tail, since("", 8)), None, "told twice");
    assert_eq!(
        hear(&tail, since("", 9)),
        Some((vec![], 8, true)),
        "a version of the future"
    );
}

#[test]
fn who_waits_is_woken_by_what_it_wants() {
    let tail = Tail::new(0);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let mut context = Context::from_waker(&waker);
    let mut waiting = pin!(tail.since(since("k", 0)));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    let mut last = 0;
    commit(&tail, &mut last, &["l", "m"]);
    assert_eq!(bell.rung(), 0, "woken by what it does not want");
    commit(&tail, &mut last, &["l", "k", "k2"]);
    assert_eq!(bell.rung(), 1, "woken by what it wants, once");
    let told = waiting
        .as_mut()
        .poll(&mut context)
        .map(|told| told.expect("is open"));
    let Poll::Ready(told) = told else {
        panic!("has nothing to tell");
    };
    assert_eq!(told, Changes::new(vec![change("k", 4), change("k2", 5)], 5));
}

#[test]
fn who_stops_waiting_leaves_nothing_behind() {
    let tail = Tail::new(0);
    assert_eq!(hear(&tail, since("", 0)), None);
    assert!(tail.kept.lock().waiting.is_empty());
}

#[test]
fn a_page_ends_and_the_next_goes_on() {
    let tail = Tail::new(0);
    assert_eq!(hear(&tail, since("", 0)), None);
    let mut last = 0;
    commit(&tail, &mut last, &vec!["k"; MAX_PAGE_ENTRIES + 1]);
    let full: Vec<u64> = (1..=1_000).collect();
    assert_eq!(hear(&tail, since("", 0)), Some((full, 1_000, false)));
    assert_eq!(
        hear(&tail, since("", 1_000)),
        Some((vec![1_001], 1_001, false))
    );
}

#[test]
fn who_is_too_far_behind_has_missed_some() {
    let tail = Tail::new(0);
    // Somebody else goes on asking, so that changes are kept.
    assert_eq!(hear(&tail, since("", 0)), None);
    let mut last = 0;
    for _ in 0..KEPT_CHANGES / 64 {
        commit(&tail, &mut last, &["k"; 64]);
        hear(&tail, since("", last - 1)).expect("is told");
    }
    let first = hear(&tail, since("", 0)).expect("is told");
    assert_eq!(
        (first.0[0], first.2),
        (1, false),
        "the first change is still kept"
    );
    commit(&tail, &mut last, &["k"]);
    assert_eq!(
        hear(&tail, since("", 0)),
        Some((vec![], last, true)),
        "the first is gone"
    );
    let second = hear(&tail, since("", 1)).expect("is told");
    assert_eq!(
        (second.0[0], second.2),
        (2, false),
        "the second is still kept"
    );
}

#[test]
fn large_changes_are_kept_for_a_shorter_while() {
    let tail = Tail::new(0);
    assert_eq!(hear(&tail, since("", 0)), None);
    let large = Payload::from(vec![b'1'; 1 << 20]);
    for version in 1..=40 {
        let change = Change::new("a", "k", version, Some(large.clone()));
        tail.push(version, || [change]).wake();
        hear(&tail, since("", version - 1)).expect("is told");
    }
    assert_eq!(
        hear(&tail, since("", 0)),
        Some((vec![], 40, true)),
        "the first is gone"
    );
    let kept = KEPT_BYTES >> 20;
    let told = hear(&tail, since("", 41 - kept as u64)).expect("is told");
    assert!(!told.2, "the last {kept} are kept");
}

#[test]
fn who_waits_for_something_rare_keeps_its_place() {
    let tail = Tail::new(0);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let (mut last, mut place) = (0, 0);
    for _ in 0..3 {
        let mut waiting = pin!(tail.since(since("rare", place)));
        let before = bell.rung();
        assert!(
            waiting
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        while bell.rung() == before {
            assert!(
                last < place + KEPT_CHANGES as u64,
                "not woken before its place is out of reach"
            );
            commit(&tail, &mut last, &["k"; 64]);
        }
        match waiting.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(told) => assert_eq!(told.expect("is open"), Changes::new(vec![], last)),
            Poll::Pending => panic!("does not tell how far it is"),
        }
        place = last;
    }
    commit(&tail, &mut last, &["rare"]);
    assert_eq!(
        hear(&tail, since("rare", place)),
        Some((vec![last], last, false))
    );
}

#[test]
fn what_nobody_asks_for_any_more_is_forgotten() {
    let tail = Tail::new(0);
    assert_eq!(hear(&tail, since("", 0)), None);
    let mut last = 0;
    for _ in 0..KEPT_CHANGES / 64 + 1 {
        commit(&tail, &mut last, &["k"; 64]);
    }
    assert!(tail.kept.lock().changes.is_none(), "kept for nobody");
    assert_eq!(hear(&tail, since("", 0)), Some((vec![], last, true)));
    commit(&tail, &mut last, &["k"]);
    assert_eq!(
        hear(&tail, since("", last - 1)),
        Some((vec![last], last, false))
    );
}

#[test]
fn closing_wakes_and_answers_everyone() {
    let tail = Tail::new(0);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let mut context = Context::from_waker(&waker);
    let mut waiting = pin!(tail.since(since("k", 0)));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    tail.close().wake();
    assert_eq!(bell.rung(), 1, "who waits is woken");
    for after in [None, Some(0)] {
        let mut later = pin!(tail.since(Since::all(after)));
        let told = later.as_mut().poll(&mut context);
        assert!(
            matches!(told, Poll::Ready(Err(StorageError::Closed))),
            "{told:?}"
        );
    }
    let told = waiting.as_mut().poll(&mut context);
    assert!(
        matches!(told, Poll::Ready(Err(StorageError::Closed))),
        "{told:?}"
    );
    tail.push(1, || -> Vec<Change> { panic!("nobody asks any more") })
        .wake();
}
