//! Services over real plugins: a provider that fails, calls that are done once at most whatever
//! happens, and a configuration that changes.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use octa_kernel::{
    BreakerState, CallOptions, Config, Payload, ServiceStatus, lifecycle::State, time::VirtualClock,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    forge,
    home::{Home, Running, next, run, until},
    placement::companion,
    program::{Outcome, Serving, octa},
};

/// In which placements providers are.
const PLACES: [&str; 2] = ["", "placement = \"process\"\n"];
const CHILD: &str = PLACES[1];
/// What two of them offer.
const SERVE: &str = "shared.serve";

/// A home with the conformer and its companion in this place, and capabilities treated so.
fn pair(place: &str, settings: &str) -> Home {
    let mut toml = settings.to_owned();
    for (plugin, other) in [("conformer", "companion"), ("companion", "conformer")] {
        let others = format!("[\"{other}.**\"]");
        toml += &format!(
            "[plugins.{plugin}]\n{place}[plugins.{plugin}.allow]\nprovide = [\"shared.**\"]\n\
             call = {others}\npublish = {others}\nstorage = [\"{other}\"]\nstate = [\"{other}\"]\n"
        );
    }
    toml += "[plugins.conformer.config]\nnumber = 7\n";
    let home = Home::with(&["conformer"]).config(&toml);
    home.put("companion", &companion());
    home
}

fn service(running: &Running, capability: &str) -> ServiceStatus {
    let service = running.kernel.service(capability);
    service.expect("it is known")
}

/// How many of so many calls the companion gets; those that it fails are its, too.
async fn share(running: &Running, calls: usize) -> usize {
    let mut share = 0;
    for _ in 0..calls {
        let answer = running.call(SERVE, json!(null)).await;
        share += usize::from(answer != Ok(json!({ "by": "conformer" })));
    }
    share
}

#[test]
fn who_fails_gets_no_calls_until_it_is_well_again() {
    for place in PLACES {
        run(async {
            let settings =
                format!("[capabilities.\"{SERVE}\"]\nbreaker = {{ calls = 4, open = \"3s\" }}\n");
            let home = pair(place, &settings);
            let clock = VirtualClock::default();
            let kernel = home.builder().clock(clock.clone()).build();
            let running = Running {
                kernel: kernel.expect("a kernel"),
                home,
            };
            let started = running.kernel.start().await;
            started.expect("the plugin directory is there");
            assert_eq!(share(&running, 100).await, 50);
            let behave = async |manner: &str| {
                let told = running.call("companion.behave", json!(manner)).await;
                told.expect("it is told");
            };
            behave("fails").await;
            clock.advance(Duration::from_secs(10));
            // As many as it takes to be sure.
            assert_eq!(share(&running, 100).await, 4);
            assert_eq!(share(&running, 100).await, 0);
            clock.advance(Duration::from_secs(3));
            assert_eq!(share(&running, 100).await, 1, "one is let in, to see");
            behave("well").await;
            assert_eq!(share(&running, 100).await, 0);
            clock.advance(Duration::from_secs(3));
            assert_eq!(share(&running, 100).await, 50);
            running.end().await;
        });
    }
}

/// The plugins that count their calls, both in the same file.
const COUNTERS: [&str; 2] = ["counts-calls", "calls-counts"];

/// A home with them in this place, and the file.
fn counted(place: &str) -> (Home, PathBuf) {
    let home = Home::with(&[COUNTERS[0]]);
    let second = forge::manifest(COUNTERS[0], &[(COUNTERS[0], COUNTERS[1])]);
    home.put(COUNTERS[1], &second);
    let file = home.root().join("calls");
    fs::write(&file, "").expect("a file");
    let mut toml = "[kernel]\nwatch = false\nstop_deadline = \"50ms\"\n".to_owned();
    for plugin in COUNTERS {
        toml += &format!(
            "[plugins.{plugin}]\n{place}sandbox = {{ off = true }}\n\
             allow.provide = [\"shared.**\"]\nrestart = {{ budget = 1000, backoff = \"1ms\" }}\n\
             [plugins.{plugin}.config]\nfile = {file:?}\n"
        );
    }
    (home.config(&toml), file)
}

/// Who was called with this name, in the order of the calls.
fn calls(file: &Path, name: &str) -> Vec<String> {
    let lines = fs::read_to_string(file).expect("it is text");
    let called = lines.lines().filter_map(|line| line.split_once(' '));
    let called = called.filter(|(called, _)| *called == name);
    called.map(|(_, plugin)| plugin.to_owned()).collect()
}

/// What befalls a call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Fails,
    Panics,
    /// Its time is over.
    Late,
    /// Its caller goes away.
    Abandoned,
    /// Its provider is replaced by another build of it.
    Reloaded,
    Stopped,
    /// Its provider ends its own process.
    Aborts,
    /// Its provider's process is ended.
    Killed,
}

impl Fault {
    const INSIDE: [Self; 6] = [
        Self::Fails,
        Self::Panics,
        Self::Late,
        Self::Abandoned,
        Self::Reloaded,
        Self::Stopped,
    ];
    /// What would end the kernel too, were the provider in its process.
    const OF_PROCESSES: [Self; 2] = [Self::Aborts, Self::Killed];

    /// Its name, and what the handler is told to do.
    fn task(self, capability: &str) -> Value {
        let fate = match self {
            Self::Fails => "fail",
            Self::Panics => "panic",
            Self::Aborts => "abort",
            _ => "wait",
        };
        json!({ "name": self.name(capability), "fate": fate })
    }

    fn name(self, capability: &str) -> String {
        format!("{capability}:{self:?}")
    }
}

/// Calls while a fault befalls that, and until both are over.
async fn befall(running: &Running, file: &Path, capability: &'static str, fault: Fault) {
    let kernel = running.kernel.clone();
    let process_of = |plugin: &str| running.plugin(plugin).process.map(|process| process.id);
    let before = COUNTERS.map(|plugin| (plugin, process_of(plugin)));
    let task = Payload::json(&fault.task(capability)).expect("it is JSON");
    let how = CallOptions {
        deadline: (fault == Fault::Late).then_some(Duration::from_millis(50)),
        ..CallOptions::default()
    };
    let call = tokio::spawn(async move { kernel.call_with(capability, &task, &how).await });
    let name = fault.name(capability);
    until(|| !calls(file, &name).is_empty()).await;
    let provider = calls(file, &name).swap_remove(0);
    let kernel = &running.kernel;
    match fault {
        Fault::Fails | Fault::Panics | Fault::Late | Fault::Aborts => {}
        Fault::Abandoned => call.abort(),
        Fault::Reloaded => drop(kernel.reload_plugin(&provider).await.expect("it is good")),
        Fault::Stopped => kernel.stop_plugin(&provider).await.expect("it stops"),
        Fault::Killed => {
            let process = running.plugin(&provider).process.expect("it has one");
            let id = i32::try_from(process.id).ok().and_then(Pid::from_raw);
            kill_process(id.expect("a process id"), Signal::KILL).expect("it runs");
        }
    }
    match call.await {
        Ok(answer) => drop(answer.expect_err("it has no answer")),
        Err(gone) => assert_eq!((gone.is_cancelled(), fault), (true, Fault::Abandoned)),
    }
    if fault == Fault::Stopped {
        kernel.start_plugin(&provider).await.expect("it starts");
    }
    // One whose process has ended is started until somebody has seen to that.
    let is_back = |(plugin, before): &(&str, Option<u32>)| {
        let has_ended = Fault::OF_PROCESSES.contains(&fault) && *plugin == provider;
        running.state(plugin) == State::Started && !(has_ended && process_of(plugin) == *before)
    };
    until(|| before.iter().all(is_back)).await;
}

#[test]
fn what_may_not_be_done_twice_is_done_once_whatever_happens() {
    for place in PLACES {
        run(async {
            let (home, file) = counted(place);
            let running = home.start().await;
            let mut faults = Fault::INSIDE.to_vec();
            if place == CHILD {
                faults.extend(Fault::OF_PROCESSES);
            }
            for fault in &faults {
                befall(&running, &file, "shared.act", *fault).await;
            }
            let task = json!({ "name": "well", "fate": "answer" });
            let answer = running.call("shared.act", task).await;
            assert_eq!(answer, Ok(json!(null)));
            running.check_neighbour().await;
            running.kernel.stop().await;
            // Nobody is left who could do it once more.
            for fault in faults {
                let name = fault.name("shared.act");
                assert_eq!(calls(&file, &name).len(), 1, "{name}");
            }
        });
    }
}

#[test]
fn what_may_be_done_twice_is_done_again() {
    run(async {
        let (home, file) = counted(CHILD);
        let running = home.start().await;
        for fault in [Fault::Fails, Fault::Panics] {
            befall(&running, &file, "shared.act_again", fault).await;
            let name = fault.name("shared.act_again");
            assert_eq!(calls(&file, &name).len(), 5, "{name}");
        }
        running.end().await;
    });
}

/// Has a kernel go on with other settings of capabilities; nothing is reloaded for that.
async fn apply(running: &Running, place: &str, settings: &str) {
    let generations = || {
        let plugins = running.kernel.plugins().into_iter();
        let generation = |it: octa_kernel::PluginStatus| it.generation.map(|it| it.number);
        plugins.map(generation).collect::<Vec<_>>()
    };
    let before = generations();
    let home = pair(place, settings);
    let config = Config::parse(home.toml(), "octa.toml").expect("a configuration");
    let applied = running.kernel.apply(config).await;
    let problems: Vec<_> = applied.problems.iter().map(|it| running.told(it)).collect();
    assert_eq!((applied.plugins.len(), problems), (0, vec![]));
    assert_eq!(generations(), before);
}

#[test]
fn other_settings_hold_at_once_and_what_is_known_stays_known() {
    for place in PLACES {
        run(async {
            let judged = "[capabilities.\"conformer.judged\"]\n\
                          breaker = { calls = 2, open = \"1h\" }\n";
            let running = pair(place, judged).start().await;
            let key = CallOptions {
                idempotency_key: "1".to_owned(),
                ..CallOptions::default()
            };
            let once = async || {
                let input = Payload::json(&json!("a")).expect("it is JSON");
                let answer = running
                    .kernel
                    .call_with("conformer.done_once", &input, &key);
                answer.await.expect("it answers");
            };
            let mut tried = running.subscribe("conformer.tried").await;
            once().await;
            next(&mut tried).await;
            let told = running.call("conformer.behave", json!("fails")).await;
            told.expect("it is told");
            for _ in 0..2 {
                let answer = running.call("conformer.judged", json!(null)).await;
                assert_eq!(answer, Err("failed: not today".to_owned()));
            }
            let breaker = || {
                service(&running, "conformer.judged").providers[0]
                    .breaker
                    .clone()
            };
            let state = || breaker().map(|breaker| breaker.state);
            assert_eq!(state(), Some(BreakerState::Open));
            let told = running.call("conformer.behave", json!("late")).await;
            told.expect("it is told");
            let mut asked = running.subscribe("conformer.asked").await;
            let inside = running.call_aside("conformer.limited", json!(null));
            next(&mut asked).await;

            let more = format!(
                "{judged}concurrency = 5\n\
                 [capabilities.\"conformer.limited\"]\nconcurrency = 2\n\
                 [capabilities.\"conformer.done_once\"]\nretry = false\nconcurrency = 1\n\
                 [capabilities.\"{SERVE}\"]\nrouting = \"failover\"\norder = [\"companion\"]\n\
                 [pipelines]\n\"conformer.twice\" = [\"conformer.add_one\", \"conformer.add_one\"]\n"
            );
            apply(&running, place, &more).await;
            assert_eq!(share(&running, 10).await, 10);
            let answer = running.call("conformer.twice", json!(1)).await;
            assert_eq!(answer, Ok(json!(3)));
            once().await;
            assert!(tried.try_recv().is_none(), "it is done again");
            assert_eq!(state(), Some(BreakerState::Open));
            let second = running.call_aside("conformer.limited", json!(null));
            next(&mut asked).await;

            apply(&running, place, judged).await;
            assert_eq!(state(), Some(BreakerState::Open));
            let gone = running.call("conformer.twice", json!(1)).await;
            gone.expect_err("there is none any more");
            for call in [inside, second] {
                let released = running.call("conformer.release", json!(null)).await;
                released.expect("it goes on");
                let answer = call.await.expect("no panic");
                assert_eq!(answer, Ok(json!({ "by": "conformer" })));
            }
            apply(&running, place, "").await;
            let told = running.call("conformer.behave", json!("well")).await;
            told.expect("it is told");
            assert_eq!(share(&running, 10).await, 5);
            running.end().await;
        });
    }
}

#[test]
fn a_fallback_elsewhere_must_be_granted() {
    run(async {
        let (home, _) = counted("");
        let elsewhere = [(
            "\"fallback\":\"shared.instead\"",
            "\"fallback\":\"neighbour.echo\"",
        )];
        home.put(COUNTERS[0], &forge::manifest(COUNTERS[0], &elsewhere));
        let running = home.start().await;
        let expect = "denied: plugin `counts-calls` may not call `neighbour.echo`: it lies outside \
                      the plugin's own namespace and is not granted (hint: to grant it, write into \
                      the configuration under `[plugins.counts-calls.allow]`: \
                      `call = [\"neighbour.echo\"]`)";
        running.check(COUNTERS[0], State::Blocked, &[expect]);
        let granted = running.home.toml().replacen(
            "allow.provide",
            "allow.call = [\"neighbour.echo\"]\nallow.provide",
            1,
        );
        let config = Config::parse(&granted, "octa.toml").expect("a configuration");
        let applied = running.kernel.apply(config).await;
        assert_eq!(applied.plugins, [COUNTERS[0]]);
        running.check(COUNTERS[0], State::Started, &[]);
        running.end().await;
    });
}

/// Checks how a command ends, and what it prints or tells.
#[track_caller]
fn check(serving: &Serving, arguments: &[&str], code: i32, expect: &str) {
    let Outcome {
        code: found,
        stdout,
        stderr,
    } = octa(&serving.home, arguments);
    assert_eq!(
        (found, format!("{stdout}{stderr}").as_str()),
        (code, expect)
    );
}

#[test]
fn whose_fault_it_is_is_told() {
    run(async {
        let serving = Serving::begin(pair("", "")).await;
        serving.until("conformer", "started").await;
        check(
            &serving,
            &["call", "conformer.checked", "[1, \"2\"]"],
            3,
            "error: `input[1]` is `\"2\"`, expected an integer\n\
             hint: `octa capabilities --json` shows what `conformer.checked` takes\n",
        );
        check(
            &serving,
            &["call", "conformer.checked", "[]"],
            0,
            "{\"by\":\"conformer\"}\n",
        );
        check(
            &serving,
            &["call", "conformer.behave", "\"lies\""],
            0,
            "null\n",
        );
        check(
            &serving,
            &["call", "conformer.checked", "[]"],
            1,
            "error: what `conformer.checked` answered is not what it declares: `output.by` is `7`, \
             expected a string\n  in plugin `conformer`\n",
        );
        check(
            &serving,
            &["call", "conformer.behave", "\"well\""],
            0,
            "null\n",
        );
        serving.interrupt();
    });
}

/// Checks how the program refuses to run with this configuration.
#[track_caller]
fn check_refused(toml: &str, expect: &str) {
    let home = Home::with(&[]);
    let config = home.root().join("octa.toml");
    fs::write(&config, toml).expect("a file");
    let [plugins, data, config] =
        [home.plugins(), home.data(), config].map(|path| path.display().to_string());
    let run = [
        "run",
        "--plugins",
        &plugins,
        "--data",
        &data,
        "--config",
        &config,
    ];
    let Outcome { code, stderr, .. } = octa(&home, &run);
    let told: Vec<_> = stderr
        .lines()
        .filter(|line| !line.contains(" INFO "))
        .collect();
    let expect = format!("error: HOME/octa.toml:{expect}");
    assert_eq!((code, told.join("\n")), (3, expect), "{toml}");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for (setting, expect) in [
        (
            "concurrency = 0",
            "2:15: `capabilities.\"a.b\".concurrency` is `0`, expected a whole number of 1 to 4294967295",
        ),
        (
            "wait = \"0s\"",
            "2:8: `capabilities.\"a.b\".wait` is `\"0s\"`, expected a duration above zero such as \"250ms\", \"10s\", \"2m\" or \"1h\"",
        ),
        (
            "breaker = { failures = 0.0 }",
            "2:24: `capabilities.\"a.b\".breaker.failures` is `0.0`, expected a share above 0 and at most 1",
        ),
        (
            "breaker = { calls = 0 }",
            "2:21: `capabilities.\"a.b\".breaker.calls` is `0`, expected a whole number of 1 to 4294967295",
        ),
        (
            "retry = { attempts = 1 }",
            "2:22: `capabilities.\"a.b\".retry.attempts` is `1`, expected a whole number of 2 to 4294967295",
        ),
        (
            "retry = { budget = 0.0 }",
            "2:20: `capabilities.\"a.b\".retry.budget` is `0.0`, expected a share above 0 and at most 1",
        ),
        (
            "rate = { calls = 0 }",
            "2:18: `capabilities.\"a.b\".rate.calls` is `0`, expected a whole number of 1 to 4294967295",
        ),
        (
            "rate = true",
            "2:8: `capabilities.\"a.b\".rate` is `true`, expected `false` or a table such as { calls = 100, per = \"1s\" }",
        ),
        (
            "remember = { results = 0 }",
            "2:24: `capabilities.\"a.b\".remember.results` is `0`, expected a whole number of 1 to 4294967295",
        ),
        (
            "routing = \"by-keys\"",
            "2:11: `capabilities.\"a.b\".routing` is `\"by-keys\"`, expected `\"round-robin\"`, `\"failover\"`, `\"least-in-flight\"` or `\"by-key\"`\nhint: did you mean `by-key`?",
        ),
        (
            "fallback = \"a.b\"",
            "2:12: `capabilities.\"a.b\".fallback` is `\"a.b\"`, expected another capability than the one that it stands in for",
        ),
        (
            "fallback = \"a..b\"",
            "2:12: `capabilities.\"a.b\".fallback`: capability `a..b` has an empty segment at position 3\nhint: a name is segments of letters, digits, `_` and `-` with dots between, such as `device.state_changed`",
        ),
    ] {
        let toml = format!("[capabilities.\"a.b\"]\n{setting}\n");
        check_refused(&toml, expect);
    }
    for (toml, expect) in [
        (
            "[capabilities.\"a..b\"]\n",
            "1:15: `capabilities.\"a..b\"`: capability `a..b` has an empty segment at position 3\nhint: a name is segments of letters, digits, `_` and `-` with dots between, such as `device.state_changed`",
        ),
        (
            "[pipelines]\n\"a.b\" = []\n",
            "2:9: `pipelines.\"a.b\"` is a list of 0, expected 1 to 32 capabilities",
        ),
        (
            "[pipelines]\n\"a.b\" = [\"a.b\"]\n",
            "2:10: `pipelines.\"a.b\"[0]` is `\"a.b\"`, expected a capability that does not lead to `a.b`",
        ),
    ] {
        check_refused(toml, expect);
    }
}
