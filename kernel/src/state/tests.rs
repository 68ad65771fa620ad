//! State as its users see it: versions, expectations, watching.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake};
use std::thread;

use super::*;

fn json(text: &str) -> Payload {
    Payload::from(text.as_bytes())
}

fn value(state: &State, key: &str) -> Option<String> {
    let record = state.get("a", key).expect("a valid key")?;
    Some(String::from_utf8_lossy(&record.value).into_owned())
}

/// Takes all notices that are there: `key=value@version`, `key@version` for a deletion, `missed n`.
fn told(watcher: &mut Watcher) -> Vec<String> {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut told = Vec::new();
    while let Poll::Ready(Some(notice)) = watcher.poll_next(&mut cx) {
        told.push(match notice {
            Notice::Changed(Change {
                key,
                version,
                value: None,
            }) => format!("{key}@{version}"),
            Notice::Changed(Change {
                key,
                version,
                value: Some(value),
            }) => {
                format!("{key}={}@{version}", String::from_utf8_lossy(&value))
            }
            Notice::Missed(count) => format!("missed {count}"),
        });
    }
    told
}

#[test]
fn versions_grow_and_are_never_given_twice() {
    let state = State::new();
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
    let state = State::new();
    let error = state.set("a", "k", json("nope")).expect_err("is not JSON");
    let expect = "the value for `a/k` is not JSON: expected ident at line 1 column 2";
    assert_eq!(error.to_string(), expect);
    assert!(state.watch("a", Keys::One(String::new())).is_err());
    assert!(state.watch("no/name", Keys::Prefix(String::new())).is_err());
}

#[test]
fn lists_in_order() {
    let state = State::new();
    for key in ["b", "ab", "a", "aa"] {
        state.set("a", key, json("1")).expect("valid");
    }
    let query = Query::new("a", "a")
        .and_then(|query| query.limit(2))
        .expect("valid");
    let page = state.list(query);
    let keys: Vec<_> = page.entries.iter().map(|entry| &*entry.key).collect();
    assert_eq!((keys, page.next.as_deref()), (vec!["a", "aa"], Some("aa")));
}

#[test]
fn many_writers_lose_no_update() {
    let state = State::new();
    let mut watcher = state.watch("a", Keys::One("count".into())).expect("valid");
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

#[test]
fn a_watcher_hears_its_keys_only_and_each_change_once() {
    let state = State::new();
    state.set("a", "lamp.1", json("0")).expect("valid");
    let mut one = state.watch("a", Keys::One("lamp.1".into())).expect("valid");
    let mut lamps = state
        .watch("a", Keys::Prefix("lamp.".into()))
        .expect("valid");
    let mut all = state
        .watch("a", Keys::Prefix(String::new()))
        .expect("valid");
    let mut other = state
        .watch("b", Keys::Prefix(String::new()))
        .expect("valid");
    state.set("a", "lamp.1", json("1")).expect("valid");
    state.set("a", "lamp.10", json("2")).expect("valid");
    state.set("a", "door", json("3")).expect("valid");
    state.delete("a", "lamp.1").expect("valid");
    state.delete("a", "lamp.1").expect("valid");
    state
        .compare_and_set("a", "door", Expect::Absent, json("4"))
        .expect_err("is there");

    assert_eq!(told(&mut one), ["lamp.1=1@2", "lamp.1@5"]);
    assert_eq!(told(&mut lamps), ["lamp.1=1@2", "lamp.10=2@3", "lamp.1@5"]);
    assert_eq!(
        told(&mut all),
        ["lamp.1=1@2", "lamp.10=2@3", "door=3@4", "lamp.1@5"]
    );
    assert_eq!(told(&mut other), [""; 0]);
    assert_eq!(told(&mut all), [""; 0]);
}

#[test]
fn a_slow_watcher_loses_the_oldest_and_is_told() {
    let state = State::new();
    let mut watcher = state
        .watch("a", Keys::Prefix(String::new()))
        .expect("valid");
    for _ in 0..WATCH_CAPACITY + 3 {
        state.set("a", "k", json("1")).expect("valid");
    }
    let told = told(&mut watcher);
    assert_eq!(told[..2], ["missed 3", "k=1@4"]);
    assert_eq!(told.len(), WATCH_CAPACITY + 1);
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_waiting_watcher_is_woken_by_a_change_and_by_the_end() {
    let state = State::new();
    let mut watcher = state.watch("a", Keys::One("k".into())).expect("valid");
    let woken = Arc::new(Woken::default());
    let waker = woken.clone().into();
    let mut cx = Context::from_waker(&waker);

    assert_eq!(watcher.poll_next(&mut cx), Poll::Pending);
    state.set("a", "k", json("1")).expect("valid");
    assert!(woken.0.swap(false, Ordering::Relaxed), "a change wakes");
    let change = Change::new("k", 1, Some(json("1")));
    assert_eq!(
        watcher.poll_next(&mut cx),
        Poll::Ready(Some(Notice::Changed(change)))
    );

    assert_eq!(watcher.poll_next(&mut cx), Poll::Pending);
    drop(state);
    assert!(woken.0.swap(false, Ordering::Relaxed), "the end wakes");
    assert_eq!(watcher.poll_next(&mut cx), Poll::Ready(None));
}

#[test]
fn a_dropped_watcher_is_forgotten() {
    let state = State::new();
    let kept = state.watch("a", Keys::One("k".into())).expect("valid");
    drop(state.watch("a", Keys::One("k".into())).expect("valid"));
    assert_eq!(state.inner.shard("a").read().watches.len(), 1);
    drop(kept);
    assert_eq!(state.inner.shard("a").read().watches.len(), 0);
}
