//! Plugins that break down and come back, or do not: in the kernel's process and in their own.

use std::time::Duration;

use octa_kernel::{
    Blame, Config,
    lifecycle::State,
    time::{Clock as _, VirtualClock},
};
use serde_json::{Value, json};

use crate::home::{Home, Running, data, next, run, until};

const EARLY: &str = "fails-first-starts";
const DIES: &str = "dies-on-request";

/// A home with this fixture, whose restarts are told, and which lives there.
fn home(fixture: &str, config: &str, restart: &str) -> Home {
    let home = Home::with(&[fixture]);
    let file = home.root().join("file");
    let toml = format!(
        "[plugins.{fixture}]\n{}sandbox = {{ off = true }}\n\
         [plugins.{fixture}.config]\nfile = {file:?}\n{config}\n\
         [plugins.{fixture}.restart]\n{restart}\n",
        if fixture == DIES {
            "placement = \"process\"\n"
        } else {
            ""
        },
    );
    home.config(&toml)
}

/// A kernel over it that has started all it can, and whose time stands still.
async fn start(home: Home) -> (Running, VirtualClock) {
    let clock = VirtualClock::default();
    let kernel = home.builder().clock(clock.clone()).build();
    let running = Running {
        kernel: kernel.expect("a kernel"),
        home,
    };
    let started = running.kernel.start().await;
    started.expect("the plugin directory is there");
    (running, clock)
}

/// Goes on to when this plugin is started again, as soon as that is known, and until it has come
/// into this state.
async fn restart(running: &Running, clock: &VirtualClock, plugin: &str, state: State) {
    let mut moves = running.subscribe(&format!("kernel.plugin.{state}")).await;
    until(|| running.plugin(plugin).restarts.next.is_some()).await;
    let next_start = running
        .plugin(plugin)
        .restarts
        .next
        .map(Duration::from_nanos);
    // No further: nothing that is begun then is late.
    clock.advance(next_start.unwrap_or_default().saturating_sub(clock.wall()));
    while next(&mut moves).await["plugin"] != plugin {}
}

#[test]
fn a_start_that_fails_twice_is_made_three_times() {
    run(async {
        let (running, clock) = start(home(EARLY, "failures = 2", "")).await;
        let plugin = running.plugin(EARLY);
        assert_eq!(plugin.state, State::Failed);
        let told: Vec<_> = plugin.problems.iter().map(|it| running.told(it)).collect();
        assert_eq!(
            told[0],
            "failed: `start` of plugin `fails-first-starts`: start 1 is too early"
        );
        assert!(told[1].starts_with("restart: restarted in "), "{told:?}");
        assert!(told[1].ends_with(" (1 of 5)"), "{told:?}");
        restart(&running, &clock, EARLY, State::Failed).await;
        restart(&running, &clock, EARLY, State::Started).await;
        running.check(EARLY, State::Started, &[]);
        let answer = running.call("fails-first-starts.answer", Value::Null).await;
        assert_eq!(answer, Ok(json!(42)));
        let restarts = running.plugin(EARLY).restarts;
        assert_eq!((restarts.spent, restarts.total), (2, 2));
        assert_eq!(running.plugin(EARLY).faults.len(), 2);
        running.end().await;
    });
}

#[test]
fn one_too_many_is_left_alone_until_the_file_is_another() {
    run(async {
        let (running, clock) = start(home(EARLY, "failures = 2", "budget = 1")).await;
        restart(&running, &clock, EARLY, State::Quarantined).await;
        let problem = running.plugin(EARLY).problems.swap_remove(0);
        assert_eq!(problem.kind, "quarantined");
        let expect =
            "the last time with: `start` of plugin `fails-first-starts`: start 2 is too early";
        assert!(problem.message.ends_with(expect), "{}", problem.message);
        let mut started = running.subscribe("kernel.plugin.started").await;
        let library = crate::home::read(&crate::fixtures::library("desk"));
        running.home.put("desk", &library);
        assert_eq!(next(&mut started).await["plugin"], "desk");
        assert_eq!(running.state(EARLY), State::Quarantined);
        let changed = crate::forge::manifest(EARLY, &[("\"0.1.0\"", "\"0.1.1\"")]);
        running.home.put(EARLY, &changed);
        assert_eq!(next(&mut started).await["plugin"], EARLY);
        running.check(EARLY, State::Started, &[]);
        assert_eq!(running.plugin(EARLY).restarts.spent, 0);
        running.end().await;
    });
}

#[test]
fn asked_for_it_is_tried_again_with_its_whole_budget() {
    run(async {
        let (running, clock) = start(home(EARLY, "failures = 3", "budget = 1")).await;
        restart(&running, &clock, EARLY, State::Quarantined).await;
        let again = running
            .kernel
            .start_plugin(EARLY)
            .await
            .expect_err("too early");
        let expect = "`start` of plugin `fails-first-starts`: start 3 is too early";
        assert_eq!(again.to_string(), expect);
        restart(&running, &clock, EARLY, State::Started).await;
        running.end().await;
    });
}

#[test]
fn another_configuration_is_another_try() {
    run(async {
        let (running, _) = start(home(EARLY, "failures = 1", "policy = \"never\"")).await;
        assert_eq!(running.plugin(EARLY).restarts.next, None);
        let toml = running.home.toml().replace("never", "always");
        let config = Config::parse(&toml, "octa.toml").expect("a configuration");
        assert_eq!(running.kernel.apply(config).await.problems, []);
        running.check(EARLY, State::Started, &[]);
        running.end().await;
    });
}

#[test]
fn a_process_that_dies_is_replaced() {
    run(async {
        let (running, clock) = start(home(DIES, "", "")).await;
        let first = running.plugin(DIES).process.expect("it has one");
        for times in 1..=2_u32 {
            let told = running.call("dies-on-request.now", Value::Null).await;
            let told = told.expect_err("it died");
            assert!(
                told.starts_with("interrupted: the process of plugin `dies-on-request`"),
                "{told}"
            );
            restart(&running, &clock, DIES, State::Started).await;
            let plugin = running.plugin(DIES);
            assert_eq!(plugin.restarts.total, u64::from(times));
            let fault = &plugin.faults[0];
            assert_eq!(fault.last_lines, ["that was the last straw"]);
            assert!(fault.what.contains("SIGABRT"), "{}", fault.what);
            let caller = Blame::Caller {
                caller: "host".to_owned(),
                capability: "dies-on-request.now".to_owned(),
                times: 2,
            };
            assert_eq!(
                fault.blamed,
                if times == 1 { Blame::Plugin } else { caller }
            );
        }
        assert_ne!(running.plugin(DIES).process, Some(first));
        running.end().await;
    });
}

#[test]
fn an_end_that_is_well_is_not_mended() {
    run(async {
        let (running, _) = start(home(DIES, "", "")).await;
        let mut failed = running.subscribe("kernel.plugin.failed").await;
        drop(running.call("dies-on-request.well", Value::Null).await);
        assert_eq!(next(&mut failed).await["restart_at"], Value::Null);
        assert_eq!(running.plugin(DIES).restarts.next, None);
        running
            .kernel
            .start_plugin(DIES)
            .await
            .expect("it is started");
        running.end().await;
    });
}

#[test]
fn what_can_be_repeated_is() {
    run(async {
        let (running, clock) = start(home(DIES, "", "")).await;
        let call = running.call_aside("dies-on-request.once", Value::Null);
        // Within the deadline of the call.
        until(|| running.plugin(DIES).restarts.next.is_some()).await;
        clock.advance(Duration::from_secs(1));
        let answer = call.await.expect("it ends");
        assert_eq!(answer, Ok(json!(1)));
        running.end().await;
    });
}

#[test]
fn a_poisoned_event_is_given_up_and_the_next_is_handled() {
    run(async {
        let (running, clock) = start(home(DIES, "", "budget = 1")).await;
        let mut fed = running.subscribe("dies-on-request.fed").await;
        let mut dead = running.subscribe("kernel.dead_letter").await;
        // More often than the budget has restarts.
        for round in 0..2_u64 {
            for number in [1, 13, 2] {
                running.publish("dies-on-request.feed", json!(number)).await;
            }
            assert_eq!(next(&mut fed).await, 1);
            for _ in 0..2 {
                restart(&running, &clock, DIES, State::Started).await;
            }
            assert_eq!(next(&mut fed).await, 2);
            let letter = data(&dead.recv().await.expect("the bus is open"));
            assert_eq!(running.said(&letter).await, "13");
            assert_eq!(letter["kind"], "interrupted");
            let plugin = running.plugin(DIES);
            assert_eq!(plugin.restarts.spent, 0);
            assert_eq!(plugin.restarts.total, 2 * (round + 1));
            let is_event = |blamed: &Blame| matches!(blamed, Blame::Event { times: 2, .. });
            assert!(is_event(&plugin.faults[0].blamed), "{:?}", plugin.faults);
            assert_eq!(plugin.subscriptions[0].dropped, 0);
        }
        running.end().await;
    });
}
