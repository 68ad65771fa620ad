//! Who watches: each change once, in order, or that some were missed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use octa_plugin_api::block_on;

use super::*;
use crate::storage::KEPT_CHANGES;

#[test]
fn a_watcher_hears_its_keys_only_and_each_change_once() {
    let (state, _) = state();
    state.set("a", "lamp.1", json("0")).expect("valid");
    let mut one = watch(&state, "a", "lamp.1");
    let mut lamps = watch(&state, "a", "lamp.");
    let mut all = watch(&state, "a", "");
    let mut other = watch(&state, "b", "");
    state.set("a", "lamp.1", json("1")).expect("valid");
    state.set("a", "lamp.2", json("2")).expect("valid");
    state.set("a", "door", json("3")).expect("valid");
    state.delete("a", "lamp.1").expect("valid");
    state.delete("a", "lamp.1").expect("valid");
    let refused = state.compare_and_set("a", "door", Expect::Absent, json("4"));
    refused.expect_err("is there");

    assert_eq!(told(&mut one), ["lamp.1=1@2", "lamp.1@5"]);
    assert_eq!(told(&mut lamps), ["lamp.1=1@2", "lamp.2=2@3", "lamp.1@5"]);
    let expect = ["lamp.1=1@2", "lamp.2=2@3", "door=3@4", "lamp.1@5"];
    assert_eq!(told(&mut all), expect);
    assert_eq!(told(&mut other), [""; 0]);
    assert_eq!(told(&mut all), [""; 0]);
}

#[test]
fn another_watcher_goes_on_where_one_had_come_to() {
    let (state, _) = state();
    let mut first = watch(&state, "a", "");
    assert_eq!(first.version(), 0);
    for key in ["k", "l", "m"] {
        state.set("a", key, json("1")).expect("valid");
    }
    let heard = next(&mut first).expect("it is there").expect("it is open");
    assert!(matches!(heard, Notice::Changed(change) if shown(&change) == "k=1@1"));
    assert_eq!(first.version(), 1, "what was fetched was not told yet");
    let second = at_once(state.watch_after("a", "", first.version()));
    let mut second = second.expect("answered at once").expect("valid");
    drop(first);
    assert_eq!(told(&mut second), ["l=1@2", "m=1@3"]);
    assert_eq!(second.version(), 3);
}

#[test]
fn who_asks_for_what_nobody_watched_has_missed_it() {
    let (state, _) = state();
    state.set("a", "k", json("1")).expect("valid");
    let watcher = at_once(state.watch_after("a", "", 0));
    let mut watcher = watcher.expect("answered at once").expect("valid");
    assert_eq!(told(&mut watcher), ["missed"]);
    state.set("a", "k", json("2")).expect("valid");
    assert_eq!(told(&mut watcher), ["k=2@2"]);
}

#[test]
fn a_slow_watcher_is_told_that_it_missed_some_and_goes_on() {
    let (state, _) = state();
    let mut watcher = watch(&state, "a", "");
    for number in 0..=KEPT_CHANGES {
        let key = format!("{}", number % 50);
        state.set("a", &key, json("1")).expect("valid");
    }
    let last = KEPT_CHANGES as u64 + 1;
    assert_eq!(next(&mut watcher), Some(Ok(Notice::Missed)));
    assert_eq!(watcher.version(), last);
    state.delete("a", "0").expect("valid");
    assert_eq!(told(&mut watcher), [format!("0@{}", last + 1)]);
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
    let (state, _) = state();
    let mut watcher = watch(&state, "a", "k");
    let woken = Arc::new(Woken::default());
    let waker = woken.clone().into();
    let mut cx = Context::from_waker(&waker);

    let mut waiting = Box::pin(watcher.next());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    state.set("a", "other", json("1")).expect("valid");
    assert!(!woken.0.load(Ordering::Relaxed), "another key does not");
    state.set("a", "k", json("1")).expect("valid");
    assert!(woken.0.swap(false, Ordering::Relaxed), "a change wakes");
    // Given up: the change is not lost.
    drop(waiting);
    assert_eq!(told(&mut watcher), ["k=1@2"]);

    let mut waiting = Box::pin(watcher.next());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    state.close();
    assert!(woken.0.swap(false, Ordering::Relaxed), "the end wakes");
    let end = waiting.as_mut().poll(&mut cx);
    assert_eq!(end, Poll::Ready(Err(StateError::Closed)));
}

type Copy = BTreeMap<String, (u64, String)>;

fn read(state: &State) -> Copy {
    let mut copy = Copy::new();
    let mut after = None;
    loop {
        let query = Query::new("a", "").and_then(|query| query.after(after.as_deref()));
        let page = state.list(query.expect("valid"));
        copy.extend(page.entries.iter().map(|entry| {
            let record = (entry.record.version, text(&entry.record.value));
            (entry.key.to_string(), record)
        }));
        match page.next {
            Some(next) => after = Some(next),
            None => return copy,
        }
    }
}

/// Follows until the key `end` is written; answers its copy, how many changes it heard, and how often it missed some.
fn follow(state: &State, mut watcher: Watcher<State>, pause: impl Fn()) -> (Copy, u64, u64) {
    let mut copy = read(state);
    let (mut heard, mut missed, mut last) = (0, 0, 0);
    // Who began late may have read the end already, and hears of it all the same.
    let mut is_told = false;
    while !is_told {
        pause();
        match block_on(watcher.next()).expect("it is open") {
            Notice::Missed => {
                missed += 1;
                copy = read(state);
                is_told = copy.contains_key("end");
            }
            Notice::Changed(change) => {
                is_told = *change.key == *"end";
                assert!(change.version > last, "{change:?} behind {last}");
                (heard, last) = (heard + 1, change.version);
                let key = change.key.to_string();
                // What was read may be ahead of what is told.
                if { copy.get(&key) }.is_some_and(|found| found.0 > last) {
                    continue;
                }
                match &change.value {
                    Some(value) => drop(copy.insert(key, (last, text(value)))),
                    None => drop(copy.remove(&key)),
                }
            }
        }
    }
    (copy, heard, missed)
}

/// Writes, deletes and lets expire in one namespace.
fn write(state: &State, clock: &VirtualClock, writer: u32, count: u32) {
    for number in 0..count {
        let key = format!("{}", (number * 7 + writer) % 23);
        let value = json(&number.to_string());
        let written = match number % 4 {
            0 => state.delete("a", &key).map(drop),
            1 => {
                let time = Duration::from_nanos(u64::from(number % 5));
                clock.advance(Duration::from_nanos(1));
                let written = state.set_for("a", &key, Expect::Any, value, time);
                written.map(drop)
            }
            _ => state.set("a", &key, value).map(drop),
        };
        written.expect("valid");
    }
}

#[test]
fn watchers_beside_writers_end_with_what_is_there() {
    const WRITERS: u32 = 4;
    for count in [500, 20_000] {
        let (state, clock) = &state();
        let [fast, slow, late] = [(); 3].map(|()| watch(state, "a", ""));
        let ended = &AtomicBool::new(false);
        thread::scope(|scope| {
            let until_the_end = || {
                while !ended.load(Ordering::Acquire) {
                    thread::yield_now();
                }
            };
            let followers = [
                scope.spawn(move || follow(state, fast, || ())),
                scope.spawn(move || follow(state, slow, thread::yield_now)),
                scope.spawn(move || follow(state, late, until_the_end)),
            ];
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| scope.spawn(move || write(state, clock, writer, count)))
                .collect();
            for writer in writers {
                writer.join().expect("it writes");
            }
            clock.advance(Duration::from_secs(1));
            state.expire_due();
            let last = state.set("a", "end", json("0")).expect("valid");
            ended.store(true, Ordering::Release);
            for follower in followers {
                let (copy, heard, missed) = follower.join().expect("it follows");
                assert_eq!(copy, read(state), "after {heard} changes, {missed} missed");
                assert!(missed > 0 || heard == last, "{heard} of {last} changes");
            }
        });
    }
}
