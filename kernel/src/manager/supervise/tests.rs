//! Restarts, their budget and their end, under a clock that stands still until it is told.

mod bench;

use std::time::Duration;

use super::{told::rough, *};
use bench::{Bench, Trouble, death};

const SECOND: Duration = Duration::from_secs(1);

fn starts(starts: u32) -> Trouble {
    Trouble {
        starts,
        ..Trouble::default()
    }
}

const FAILURE: &str = "`start` of plugin `lamp`: no current";

#[tokio::test]
async fn it_is_started_again_after_a_while_that_doubles() {
    let mut bench = Bench::new(starts(3), "").await;
    let mut waits = Vec::new();
    for number in 1..=3 {
        let wait = bench.wait().expect("it is to be started again");
        let coming = format!("restarted in {} ({number} of 5)", rough(wait));
        bench.check(State::Failed, &[FAILURE, &coming]);
        let restarts = bench.status("lamp").restarts;
        assert_eq!(
            (restarts.spent, restarts.total),
            (number, u64::from(number) - 1)
        );
        bench.clock.advance(wait - Duration::from_nanos(1));
        bench
            .kernel
            .call::<u64>("lamp.read", &())
            .await
            .unwrap_err();
        bench.check(State::Failed, &[FAILURE, &coming]);
        bench.clock.advance(Duration::from_nanos(1));
        let end = if number == 3 {
            State::Started
        } else {
            State::Failed
        };
        bench.moves_to(end).await;
        waits.push(wait);
    }
    for (wait, expect) in waits.iter().zip([200, 400, 800]) {
        let expect = Duration::from_millis(expect);
        assert!(
            expect * 3 / 4 <= *wait && *wait <= expect * 5 / 4,
            "{wait:?}"
        );
    }
    bench.check(State::Started, &[]);
    bench
        .until(|it| it.status("switch").state == State::Started)
        .await;
    let faults = bench.status("lamp").faults;
    assert_eq!(faults.len(), 3);
    assert_eq!(
        (&*faults[0].what, &faults[0].blamed),
        (FAILURE, &Blame::Plugin)
    );
    bench.kernel.stop().await;
}

#[tokio::test]
async fn who_has_spent_its_restarts_is_left_alone() {
    let mut bench = Bench::new(starts(9), "budget = 2\nbackoff = \"20s\"").await;
    let (first, moves) = bench.pass(State::Failed).await;
    assert_eq!(moves, ["lamp loaded", "lamp failed"]);
    let (second, moves) = bench.pass(State::Quarantined).await;
    assert_eq!(moves, ["lamp loaded", "lamp failed", "lamp quarantined"]);
    let within = (first + second).as_secs();
    let expect =
        format!("plugin `lamp` failed 3 times within {within}s, the last time with: {FAILURE}");
    bench
        .until(|it| it.status("switch").state == State::Blocked)
        .await;
    bench.check(State::Quarantined, &[&expect]);
    let status = bench.status("lamp");
    assert_eq!(status.problems[0].kind, "quarantined");
    assert_eq!(
        status.problems[0].hint.as_deref(),
        Some("`octa start lamp` tries it again, and so does another file")
    );
    assert_eq!((status.restarts.spent, status.restarts.next), (2, None));
    bench.clock.advance(SECOND * 3600);
    // The start of all is no wish for this one.
    bench.kernel.start().await.expect("nothing to look for");
    bench.check(State::Quarantined, &[&expect]);
    // Asked for, it has all its restarts again.
    bench
        .kernel
        .start_plugin("lamp")
        .await
        .expect_err("it fails still");
    assert_eq!(bench.status("lamp").state, State::Failed);
    assert_eq!(bench.status("lamp").restarts.spent, 1);
    bench.trouble(Trouble::default());
    bench.pass(State::Started).await;
    bench
        .until(|it| it.status("switch").state == State::Started)
        .await;
    bench.kernel.stop().await;
}

#[tokio::test]
async fn who_is_well_for_a_while_has_all_restarts_again() {
    let mut bench = Bench::new(starts(1), "healthy = \"10s\"").await;
    bench.pass(State::Started).await;
    bench.clock.advance(SECOND * 10 - Duration::from_nanos(1));
    bench.kernel.load_plugin("lamp").await.expect("it is there");
    assert_eq!(bench.status("lamp").restarts.spent, 1);
    bench.clock.advance(Duration::from_nanos(1));
    bench
        .until(|it| it.status("lamp").restarts.spent == 0)
        .await;
    bench.breaks(Breakdown::Died(death(&[])));
    bench.moves_to(State::Failed).await;
    bench
        .until(|it| it.status("lamp").restarts.spent == 1)
        .await;
    bench.kernel.stop().await;
}

#[tokio::test]
async fn who_fails_before_that_has_not() {
    let mut bench = Bench::new(starts(1), "healthy = \"10s\"").await;
    bench.pass(State::Started).await;
    bench.clock.advance(SECOND * 9);
    bench.breaks(Breakdown::Died(death(&[])));
    bench.moves_to(State::Failed).await;
    bench.pass(State::Started).await;
    // The time of the generation before says nothing of this one.
    bench.clock.advance(SECOND);
    bench.kernel.load_plugin("lamp").await.expect("it is there");
    assert_eq!(bench.status("lamp").restarts.spent, 2);
    bench.kernel.stop().await;
}

#[tokio::test]
async fn who_needs_it_waits_for_it() {
    let mut bench = Bench::new(starts(1), "").await;
    bench.check_waiting().await;
    bench.pass(State::Started).await;
    bench
        .until(|it| it.status("switch").state == State::Started)
        .await;
    bench.kernel.stop().await;
}

#[tokio::test]
async fn never_is_never() {
    let bench = Bench::new(starts(1), "policy = \"never\"").await;
    bench.check(State::Failed, &[FAILURE]);
    assert_eq!(bench.wait(), None);
    assert_eq!(bench.status("switch").state, State::Blocked);
    bench
        .kernel
        .start_plugin("lamp")
        .await
        .expect("it goes well");
    assert_eq!(bench.status("switch").state, State::Started);
    bench.kernel.stop().await;
}

#[tokio::test]
async fn what_would_fail_again_is_not_tried() {
    let refused = Trouble {
        is_refused: true,
        ..Trouble::default()
    };
    let bench = Bench::new(refused, "policy = \"always\"").await;
    bench.check(
        State::Failed,
        &["`create` of plugin `lamp`: no socket fits"],
    );
    assert_eq!(bench.wait(), None);
    bench.kernel.stop().await;
}

#[tokio::test]
async fn an_end_that_is_none_is_for_always() {
    let well = || {
        Breakdown::Died(Death {
            cause: "ended by itself".to_owned(),
            is_failure: false,
            ..death(&[])
        })
    };
    let mut bench = Bench::new(starts(0), "").await;
    bench.breaks(well());
    bench.moves_to(State::Failed).await;
    bench
        .until(|it| it.status("switch").state == State::Blocked)
        .await;
    bench.check(State::Failed, &["plugin `lamp` ended by itself"]);
    assert_eq!(bench.wait(), None);
    bench.restart("policy = \"always\"").await;
    bench.check(State::Started, &[]);
    assert_eq!(bench.status("switch").state, State::Started);
    bench.breaks(well());
    bench.until(|it| it.wait().is_some()).await;
    bench.kernel.stop().await;
}

#[tokio::test]
async fn dependents_go_on_and_are_told() {
    let mut bench = Bench::new(starts(0), "budget = 1").await;
    let mut failures = bench
        .kernel
        .subscribe("kernel.plugin.failed")
        .await
        .expect("a pattern");
    bench.breaks(Breakdown::Died(death(&[])));
    let told = failures.recv().await.expect("the kernel runs");
    let told: serde_json::Value = octa_plugin_api::decode(&told.payload).expect("JSON");
    assert_eq!(
        told["restart_at"].as_u64(),
        bench.status("lamp").restarts.next
    );
    assert_eq!(bench.status("switch").state, State::Started);
    let nobody = bench
        .kernel
        .call::<u64>("lamp.read", &())
        .await
        .unwrap_err();
    assert_eq!(nobody.kind(), octa_plugin_api::ErrorKind::Unavailable);
    let (_, moves) = bench.pass(State::Started).await;
    assert_eq!(moves, ["lamp failed", "lamp loaded", "lamp started"]);
    bench.breaks(Breakdown::Died(death(&[])));
    bench
        .until(|it| it.status("switch").state == State::Blocked)
        .await;
    assert_eq!(bench.status("lamp").state, State::Quarantined);
    bench
        .kernel
        .start_plugin("lamp")
        .await
        .expect("it is started");
    assert_eq!(bench.status("switch").state, State::Started);
    bench.kernel.stop().await;
}

#[tokio::test]
async fn who_is_stuck_is_left_alone_at_once() {
    let mut bench = Bench::new(starts(0), "policy = \"always\"").await;
    bench.breaks(Breakdown::Stuck(Stuck {
        what: "the handler of `lamp.read` blocks its thread for more than 30s".to_owned(),
        last_lines: Vec::new(),
    }));
    let moves = bench.moves_to(State::Quarantined).await;
    assert_eq!(moves, ["lamp failed", "lamp quarantined"]);
    let expect = "plugin `lamp`: the handler of `lamp.read` blocks its thread for more than 30s";
    bench.check(State::Quarantined, &[expect]);
    assert_eq!(bench.status("lamp").faults[0].what, expect);
    bench.kernel.stop().await;
}

#[tokio::test]
async fn the_caller_is_blamed_who_was_there_each_time() {
    let mut bench = Bench::new(starts(0), "").await;
    for _ in 0..2 {
        bench.breaks(Breakdown::Died(death(&[("cat", "lamp.read")])));
        bench.moves_to(State::Failed).await;
        bench.pass(State::Started).await;
    }
    let faults = bench.status("lamp").faults;
    let what =
        "plugin `lamp` was ended by signal 11 (SIGSEGV) during a call of `lamp.read` by `cat`";
    let caller = Blame::Caller {
        caller: "cat".to_owned(),
        capability: "lamp.read".to_owned(),
        times: 2,
    };
    for (fault, blamed) in faults.iter().zip([caller, Blame::Plugin]) {
        assert_eq!((&*fault.what, &fault.blamed), (what, &blamed));
        assert_eq!(fault.last_lines, ["ouch"]);
    }
    assert_eq!(bench.status("lamp").restarts.total, 2);
    bench.kernel.stop().await;
}

#[tokio::test]
async fn what_is_told_of_another_generation_means_nothing() {
    let bench = Bench::new(starts(0), "").await;
    let told = Event::Broke("lamp".to_owned(), 7, Breakdown::Died(death(&[])));
    bench.kernel.tell(told);
    // Handled after that.
    bench.kernel.load_plugin("lamp").await.expect("it is there");
    bench.check(State::Started, &[]);
    assert_eq!(bench.status("lamp").faults, []);
    bench.kernel.stop().await;
}

#[tokio::test]
async fn a_start_that_failed_since_the_process_died_is_one_failure() {
    let bench = Bench::new(starts(1), "").await;
    let told = Event::Broke("lamp".to_owned(), 1, Breakdown::Died(death(&[])));
    bench.kernel.tell(told);
    bench
        .until(|it| !it.status("lamp").faults[0].last_lines.is_empty())
        .await;
    let status = bench.status("lamp");
    assert_eq!((status.faults.len(), status.restarts.spent), (1, 1));
    assert_eq!(status.faults[0].last_lines, ["ouch"]);
    assert_eq!(status.faults[0].kind, FaultKind::Ended);
    bench.kernel.stop().await;
}

#[tokio::test]
async fn who_is_stopped_meanwhile_does_not_come_back() {
    let bench = Bench::new(starts(0), "").await;
    bench.breaks(Breakdown::Died(death(&[])));
    bench.until(|it| it.wait().is_some()).await;
    assert_eq!(
        bench.status("lamp").subscriptions.len(),
        1,
        "its queue stays"
    );
    bench.kernel.stop_plugin("lamp").await.expect("it is there");
    bench.check(
        State::Failed,
        &["plugin `lamp` was ended by signal 11 (SIGSEGV)"],
    );
    assert_eq!(bench.wait(), None);
    assert!(bench.status("lamp").subscriptions.is_empty());
    assert_eq!(bench.status("switch").state, State::Blocked);
    bench.clock.advance(SECOND);
    bench
        .kernel
        .unload_plugin("switch")
        .await
        .expect("it is there");
    assert_eq!(bench.status("lamp").state, State::Failed);
    bench
        .kernel
        .start_plugin("lamp")
        .await
        .expect("it is started");
    bench.kernel.stop().await;
}

#[tokio::test]
async fn events_wait_for_it_to_come_back() {
    let mut bench = Bench::new(starts(0), "").await;
    bench.breaks(Breakdown::Died(death(&[])));
    bench.until(|it| it.wait().is_some()).await;
    for number in 0..3_u64 {
        bench
            .kernel
            .publish("lamp.ping", &number)
            .await
            .expect("a topic");
    }
    assert_eq!(bench.status("lamp").subscriptions[0].queued, 3);
    bench.pass(State::Started).await;
    bench
        .until(|it| it.status("lamp").subscriptions[0].queued == 0)
        .await;
    assert_eq!(bench.status("lamp").subscriptions[0].dropped, 0);
    bench.kernel.stop().await;
}

#[tokio::test]
async fn other_restarts_hold_at_once_and_reload_nothing() {
    let bench = Bench::new(starts(0), "policy = \"never\"").await;
    bench.restart("budget = 7").await;
    let status = bench.status("lamp");
    assert_eq!(
        (status.restarts.policy, status.restarts.budget),
        ("on-failure", 7)
    );
    assert_eq!(status.generation.map(|it| it.number), Some(1));
    bench.breaks(Breakdown::Died(death(&[])));
    bench.until(|it| it.wait().is_some()).await;
    bench.restart("policy = \"never\"").await;
    // With another configuration it is tried at once.
    bench.check(State::Started, &[]);
    bench.kernel.stop().await;
}
