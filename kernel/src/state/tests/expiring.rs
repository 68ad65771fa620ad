//! Values with a time to live, in virtual time: never read once it is over, and gone without being asked for.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn lasting(state: &State, key: &str, seconds: u32) -> u64 {
    let version = state.set_for("a", key, Expect::Any, json("1"), SECOND * seconds);
    version.expect("valid")
}

fn keys(state: &State) -> Vec<String> {
    let page = state.list(Query::new("a", "").expect("valid"));
    page.entries.iter().map(|it| it.key.to_string()).collect()
}

#[test]
fn a_value_is_not_read_once_its_time_is_over() {
    let (state, clock) = state();
    lasting(&state, "k", 2);
    state.set("a", "l", json("1")).expect("valid");
    clock.advance(SECOND * 2 - Duration::from_nanos(1));
    assert_eq!(value(&state, "k").as_deref(), Some("1"));
    clock.advance(Duration::from_nanos(1));
    assert_eq!(value(&state, "k"), None);
    assert_eq!(keys(&state), ["l"]);
    assert_eq!(state.delete("a", "k"), Ok(false));
}

#[test]
fn what_is_over_is_absent_for_who_writes() {
    let (state, clock) = state();
    let mut watcher = watch(&state, "a", "");
    let version = lasting(&state, "k", 1);
    clock.advance(SECOND);
    let late = state.compare_and_set("a", "k", Expect::Version(version), json("2"));
    let late = late.expect_err("it is over").to_string();
    assert_eq!(late, "`a/k` has no record, expected version 1");
    let taken = state.compare_and_set("a", "k", Expect::Absent, json("3"));
    assert_eq!(taken, Ok(3));
    clock.advance(SECOND * 9);
    assert_eq!(value(&state, "k").as_deref(), Some("3"), "it is to stay");
    assert_eq!(told(&mut watcher), ["k=1@1", "k@2", "k=3@3"]);
}

#[test]
fn written_again_its_time_begins_anew_or_ends() {
    let (state, clock) = state();
    let renewed = lasting(&state, "renewed", 2);
    let stays = lasting(&state, "stays", 2);
    lasting(&state, "shorter", 9);
    clock.advance(SECOND);
    let again = state.set_for(
        "a",
        "renewed",
        Expect::Version(renewed),
        json("2"),
        SECOND * 2,
    );
    again.expect("nobody else wrote it");
    let stays = state.compare_and_set("a", "stays", Expect::Version(stays), json("2"));
    stays.expect("nobody else wrote it");
    lasting(&state, "shorter", 1);
    clock.advance(SECOND);
    assert_eq!(keys(&state), ["renewed", "stays"]);
    assert_eq!(state.next_expiry(), Some(clock.monotonic() + SECOND));
    clock.advance(SECOND);
    assert_eq!(keys(&state), ["stays"]);
    assert_eq!(state.next_expiry(), None);
}

#[test]
fn a_refused_write_leaves_the_time_as_it_was() {
    let (state, clock) = state();
    lasting(&state, "k", 2);
    let refused = state.set_for("a", "k", Expect::Absent, json("2"), SECOND * 9);
    refused.expect_err("it is there");
    state.set("a", "k", json("nope")).expect_err("is not JSON");
    clock.advance(SECOND * 2);
    assert_eq!(value(&state, "k"), None);
}

#[test]
fn a_deleted_value_leaves_no_time_behind() {
    let (state, clock) = state();
    lasting(&state, "k", 1);
    assert_eq!(state.delete("a", "k"), Ok(true));
    assert_eq!(state.next_expiry(), None);
    state.set("a", "k", json("2")).expect("valid");
    clock.advance(SECOND);
    state.expire_due();
    assert_eq!(value(&state, "k").as_deref(), Some("2"));
}

#[test]
fn what_is_over_makes_room() {
    let (state, clock) = state();
    let large = || json(&format!("\"{}\"", "x".repeat(900)));
    let put = state.set_for("a", "k", Expect::Any, large(), SECOND);
    put.expect("there is room");
    state.set("a", "l", large()).expect_err("there is no room");
    clock.advance(SECOND);
    state.set("a", "l", large()).expect("there is room again");
    let usage = Usage {
        records: 1,
        bytes: 903,
    };
    assert_eq!(state.usage(), [("a".into(), usage)]);
}

#[test]
fn the_shortest_and_the_longest_time() {
    let (state, clock) = state();
    lasting(&state, "none", 0);
    assert_eq!(value(&state, "none"), None);
    let endless = state.set_for("a", "endless", Expect::Any, json("1"), Duration::MAX);
    endless.expect("valid");
    clock.advance(SECOND * 1_000_000_000);
    assert_eq!(keys(&state), ["endless"]);
}

#[test]
fn thousands_are_over_at_once() {
    let clock = VirtualClock::default();
    let quota = Quota { bytes: 1 << 20 };
    let state = State::new(Arc::new(clock.clone()), quota);
    let mut watcher = watch(&state, "a", "");
    for number in 0..1_000 {
        lasting(&state, &format!("{number:03}"), 1);
    }
    clock.advance(SECOND);
    state.expire_due();
    assert_eq!(keys(&state), [""; 0]);
    let told = told(&mut watcher);
    let expect = (0..1_000).map(|number| format!("{number:03}@{}", number + 1_001));
    assert_eq!(told[1_000..], expect.collect::<Vec<_>>());
}

/// A runtime, and the task that expires.
fn expiring(state: &State) -> (tokio::runtime::Runtime, tokio::task::JoinHandle<()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.build().expect("a runtime");
    let task = runtime.spawn(state.expire());
    (runtime, task)
}

/// Lets the task do all that it can.
async fn settle(clock: &VirtualClock, next: Option<Duration>) {
    while clock.until_next() != next {
        tokio::task::yield_now().await;
    }
}

#[test]
fn the_task_expires_without_being_asked() {
    let (state, clock) = state();
    let (runtime, _task) = expiring(&state);
    runtime.block_on(async {
        let mut watcher = watch(&state, "a", "");
        lasting(&state, "late", 5);
        settle(&clock, Some(SECOND * 5)).await;
        lasting(&state, "soon", 3);
        settle(&clock, Some(SECOND * 3)).await;
        // Renewed before it is over: the timer that was set for it does no harm.
        clock.advance(SECOND * 2);
        lasting(&state, "soon", 2);
        clock.advance(SECOND);
        settle(&clock, Some(SECOND)).await;
        assert_eq!(told(&mut watcher), ["late=1@1", "soon=1@2", "soon=1@3"]);
        clock.advance(SECOND);
        for expect in ["soon@4", "late@5"] {
            let notice = watcher.next().await.expect("it is open");
            assert!(matches!(notice, Notice::Changed(change) if shown(&change) == expect));
            clock.advance(SECOND);
        }
        settle(&clock, None).await;
    });
}

#[test]
fn the_task_sleeps_while_nothing_has_a_time() {
    let (state, clock) = state();
    let (runtime, task) = expiring(&state);
    runtime.block_on(async {
        state.set("a", "k", json("1")).expect("valid");
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(clock.until_next(), None);
        state.close();
        task.await.expect("it ends with the state");
    });
}
