//! State as its users see it: versions, expectations, quotas. What takes time, who watches, and any course of
//! operations beside a model have files of their own.

mod expiring;
mod model;
mod watching;

use std::task::{Context, Poll, Waker};
use std::thread;

use super::*;
use crate::storage::{Change, Notice};
use crate::time::VirtualClock;

const QUOTA: Quota = Quota { bytes: 1_000 };

fn state() -> (State, VirtualClock) {
    let clock = VirtualClock::default();
    (State::new(Arc::new(clock.clone()), QUOTA), clock)
}

fn json(text: &str) -> Payload {
    Payload::from(text.as_bytes())
}

fn value(state: &State, key: &str) -> Option<String> {
    let record = state.get("a", key).expect("a valid key")?;
    Some(text(&record.value))
}

fn text(value: &Payload) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// `key=value@version`, `key@version` for a deletion.
fn shown(change: &Change) -> String {
    let value = change.value.as_ref();
    let value = value.map_or(String::new(), |value| format!("={}", text(value)));
    format!("{}{value}@{}", change.key, change.version)
}

/// Takes all notices that are there.
fn told(watcher: &mut Watcher<State>) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(notice) = next(watcher) {
        told.push(match notice.expect("it is open") {
            Notice::Changed(change) => shown(&change),
            Notice::Missed => "missed".to_owned(),
        });
    }
    told
}

/// Takes a notice that is there.
fn next(watcher: &mut Watcher<State>) -> Option<Result<Notice, StateError>> {
    at_once(watcher.next())
}

/// What a future gives at its first poll; it is dropped after it.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ready) => Some(ready),
        Poll::Pending => None,
    }
}

fn watch(state: &State, namespace: &str, prefix: &str) -> Watcher<State> {
    let watcher = at_once(state.watch(namespace, prefix)).expect("answered at once");
    watcher.expect("a valid prefix")
}

#[test]
fn versions_grow_and_are_never_given_twice() {
    let (state, _) = state();
    assert_eq!(state.set("a", "k", json("1")), Ok(1));
    assert_eq!(state.set("a", "k", json("2")), Ok(2));
    assert_eq!(state.delete("a", "k"), Ok(true));
    assert_eq!(state.delete("a", "k"), Ok(false));
    assert_eq!(
        state.compare_and_set("a", "k", Expect::Absent, json("3")),
        Ok(4)
    );
    assert_eq!(value(&state, "k").as_deref(), Some("3"));

    let stale = state.compare_and_set("a", "k", Expect::Version(2), json("4"));
    let error = stale.expect_err("is at version 4");
    assert_eq!(error.to_string(), "`a/k` has version 4, expected version 2");
    assert!(error.hint().is_some());
    let absent = state.compare_and_delete("a", "l", Expect::Version(2));
    let text = absent.expect_err("is absent").to_string();
    assert_eq!(text, "`a/l` has no record, expected version 2");
    assert_eq!(value(&state, "k").as_deref(), Some("3"));
}

#[test]
fn refuses_what_is_not_json() {
    let (state, _) = state();
    let error = state.set("a", "k", json("nope")).expect_err("is not JSON");
    let expect = "the value for `a/k` is not JSON: expected ident at line 1 column 2";
    assert_eq!(error.to_string(), expect);
    let malformed = at_once(state.watch("no/name", "")).expect("answered at once");
    assert!(matches!(malformed, Err(StateError::Invalid(_))));
    let long = "k".repeat(513);
    let malformed = at_once(state.watch_after("a", &long, 1)).expect("answered at once");
    assert!(matches!(malformed, Err(StateError::Invalid(_))));
}

#[test]
fn lists_in_order() {
    let (state, _) = state();
    for key in ["b", "ab", "a", "aa"] {
        state.set("a", key, json("1")).expect("valid");
    }
    let query = Query::new("a", "a").and_then(|query| query.limit(2));
    let page = state.list(query.expect("valid"));
    let keys: Vec<_> = page.entries.iter().map(|entry| &*entry.key).collect();
    assert_eq!((keys, page.next.as_deref()), (vec!["a", "aa"], Some("aa")));
}

#[test]
fn a_namespace_grows_to_its_quota_and_no_further() {
    let (state, _) = state();
    let text = |bytes: usize| json(&format!("\"{}\"", "x".repeat(bytes - 2)));
    state.set("a", "1", text(499)).expect("there is room");
    state.set("a", "2", text(499)).expect("there is room");
    let error = state.set("a", "3", json("1")).expect_err("full");
    let expect = "`a/3` would bring namespace `a` to 1002 bytes, its quota is 1000";
    assert_eq!(error.to_string(), expect);
    assert!(error.hint().is_some());
    state.set("b", "3", text(999)).expect("another's room");
    let usage = |records, bytes| Usage { records, bytes };
    let expect = [("a".into(), usage(2, 1000)), ("b".into(), usage(1, 1000))];
    assert_eq!(state.usage(), expect);

    // What does not make it grow is never refused, and a conflict is said first.
    state.set("a", "1", text(499)).expect("it is as large");
    let stale = state.compare_and_set("a", "3", Expect::Version(1), text(600));
    assert!(matches!(stale, Err(StateError::Conflict(_))));
    state.set("a", "1", text(400)).expect("it is smaller");
    state.set("a", "3", text(98)).expect("there is room again");
    state.delete("a", "2").expect("valid");
    state.set("a", "4", text(499)).expect("there is room again");
}

#[test]
fn a_value_is_kept_without_the_room_it_was_written_in() {
    let (state, _) = state();
    let kept = |value: &Payload| {
        state.set("a", "k", value.clone()).expect("there is room");
        let record = state.get("a", "k").expect("a valid key");
        record.expect("it is there").value
    };
    let small = Payload::json(&true).expect("JSON");
    assert_eq!(kept(&small), small);
    assert_ne!(kept(&small).as_ptr(), small.as_ptr(), "it is copied");
    let fits = json("[1, 2, 3]");
    assert_eq!(kept(&fits).as_ptr(), fits.as_ptr(), "it is not copied");
}

#[test]
fn many_writers_lose_no_update() {
    let (state, _) = state();
    let mut watcher = watch(&state, "a", "count");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..100).for_each(|_| while !increment(&state) {}));
        }
    });
    assert_eq!(value(&state, "count").as_deref(), Some("800"));
    let expect: Vec<_> = (1..=800).map(|i| format!("count={i}@{i}")).collect();
    assert_eq!(told(&mut watcher), expect);
}

fn increment(state: &State) -> bool {
    let found = state.get("a", "count").expect("valid");
    let expect = found
        .as_ref()
        .map_or(Expect::Absent, |record| Expect::Version(record.version));
    let count = found.map_or(0, |record| {
        serde_json::from_slice(&record.value).expect("a number")
    });
    let value = json(&u64::to_string(&(count + 1)));
    state.compare_and_set("a", "count", expect, value).is_ok()
}
