//! The bus over real plugins: one that is slow, one that cannot stomach an event, and what is no
//! topic, pattern or data.

use std::{
    fs::{self, File},
    time::Duration,
};

use octa_kernel::{SubscriptionStatus, time::VirtualClock};
use serde_json::{Value, json};

use crate::{
    forge,
    home::{Home, Running, data, run, until},
    program::{self, Outcome, Serving, octa},
};

const LISTENER: &str = "listener";
/// The same under other names: in the kernel's process, and in one of its own.
const OTHERS: [&str; 2] = ["hearer-1", "hearer-2"];
const PATTERN: &str = "*.news";
/// In which placements the listener is.
const PLACES: [&str; 2] = ["", "placement = \"process\"\n"];

/// A home with the listener in this place, told so, and the two others.
fn home(place: &str, settings: &str) -> Home {
    let allow = format!("allow.subscribe = [\"{PATTERN}\"]\n");
    let mut toml =
        format!("[plugins.{LISTENER}]\n{place}{allow}[plugins.{LISTENER}.config]\n{settings}\n");
    for (other, place) in OTHERS.into_iter().zip(PLACES) {
        toml += &format!("[plugins.{other}]\n{place}{allow}");
    }
    let home = Home::with(&[LISTENER, "neighbour"]).config(&toml);
    for other in OTHERS {
        home.put(other, &forge::manifest(LISTENER, &[(LISTENER, other)]));
    }
    home
}

/// How the subscription of a plugin is.
fn counters(running: &Running, plugin: &str) -> SubscriptionStatus {
    let mut subscriptions = running.kernel.subscriptions().into_iter();
    let found = subscriptions.find(|it| it.plugin == plugin && it.pattern == PATTERN);
    found.expect("it subscribes")
}

/// What a plugin has heard, once it has heard so much.
async fn heard_all(running: &Running, plugin: &str, count: usize) -> Value {
    loop {
        let heard = heard(running, plugin).await;
        if heard.as_array().map(Vec::len) == Some(count) {
            return heard;
        }
        tokio::task::yield_now().await;
    }
}

/// What a plugin has heard so far.
async fn heard(running: &Running, plugin: &str) -> Value {
    let heard = running.call(&format!("{plugin}.heard"), json!(null)).await;
    heard.expect("it answers, whatever it is busy with")
}

/// No more than a subscription of the host's has room for.
const MANY: usize = 300;

/// What the others hear of many events while the listener takes its time, and in the end the
/// listener itself.
async fn news(place: &str, pause_ms: u64) -> Vec<Value> {
    let clock = VirtualClock::default();
    let home = home(place, &format!("pause_ms = {pause_ms}"));
    let kernel = home.builder().clock(clock.clone()).build();
    let running = Running {
        kernel: kernel.expect("a kernel"),
        home,
    };
    let started = running.kernel.start().await;
    started.expect("the plugin directory is there");
    let mut dropped = running.subscribe("kernel.bus.overflow").await;
    let mut host = running.subscribe(PATTERN).await;
    for number in 0..MANY {
        running.publish("house.news", number.into()).await;
    }
    let mut found = Vec::new();
    for other in OTHERS {
        found.push(heard_all(&running, other, MANY).await);
    }
    let mut hosts = Vec::new();
    for _ in 0..MANY {
        let event = host.recv().await.expect("the bus is open");
        hosts.push(json!([event.source, data(&event)]));
    }
    found.push(hosts.into());
    if pause_ms > 0 {
        // All the others are done, and it is with its first: no time has passed.
        assert_eq!(heard(&running, LISTENER).await, json!([]));
        let second = Duration::from_millis(pause_ms);
        until(|| clock.until_next().is_some_and(|next| next <= second)).await;
        clock.advance(second);
        assert_eq!(heard_all(&running, LISTENER, 1).await, json!([["host", 0]]));
        let is_done = |heard: Value| heard.as_array().map(Vec::len) == Some(MANY);
        while !is_done(heard(&running, LISTENER).await) {
            clock.advance(second);
            tokio::task::yield_now().await;
        }
    }
    found.push(heard_all(&running, LISTENER, MANY).await);
    for plugin in [LISTENER, OTHERS[0], OTHERS[1], "host"] {
        let counted = counters(&running, plugin);
        assert_eq!(
            (counted.matched, counted.delivered, counted.dropped),
            (MANY as u64, MANY as u64, 0)
        );
    }
    assert!(dropped.try_recv().is_none(), "something was dropped");
    running.end().await;
    found
}

#[test]
fn a_slow_subscriber_is_slow_alone() {
    for place in PLACES {
        run(async {
            let one_a_second = news(place, 1000).await;
            assert!(one_a_second == news(place, 0).await, "they differ");
            let all: Value = (0..MANY).map(|number| json!(["host", number])).collect();
            assert!(one_a_second.iter().all(|heard| *heard == all));
        });
    }
}

#[test]
fn one_poison_event_in_ten_thousand() {
    const ALL: u32 = 10_000;
    const POISON: u32 = 4_711;
    for place in PLACES {
        run(async {
            let settings = format!("poison = {POISON}");
            let running = home(place, &settings).start().await;
            let mut told = running.subscribe("kernel.dead_letter").await;
            for number in 0..ALL {
                running.publish("house.news", number.into()).await;
            }
            let handled = (0..ALL).filter(|number| *number != POISON);
            let handled: Value = handled.map(|number| json!(["host", number])).collect();
            let heard = heard_all(&running, LISTENER, 9_999).await;
            assert!(heard == handled, "not each once, in order");
            let letters = running.kernel.dead_letters().await;
            let [letter] = letters.as_slice() else {
                panic!("one dead letter, not {letters:?}");
            };
            assert_eq!(
                (
                    letter.plugin.as_str(),
                    letter.cause.as_str(),
                    letter.attempts
                ),
                (LISTENER, "4711 is poison", 3)
            );
            assert_eq!(data(&letter.event), POISON);
            let event = told.recv().await.expect("the bus is open");
            assert_eq!(data(&event)["letter"], letter.id);
            assert!(told.try_recv().is_none(), "one dead letter is told");
            let counted = counters(&running, LISTENER);
            assert_eq!((counted.retried, counted.dead, counted.dropped), (2, 1, 0));
            running.end().await;
        });
    }
}

/// Checks how a command is refused.
#[track_caller]
fn check_refused(serving: &Serving, arguments: &[&str], expect: &str) {
    let Outcome {
        code,
        stdout,
        stderr,
    } = octa(&serving.home, arguments);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (3, "", expect));
}

#[test]
fn what_is_no_name_says_where() {
    run(async {
        let serving = Serving::begin(Home::with(&[])).await;
        let (long, deep) = ("a".repeat(256), ["a"; 17].join("."));
        let short = "a".repeat(80);
        for (command, data) in [("publish", &["1"][..]), ("tail", &[]), ("call", &["1"])] {
            let what = match command {
                "publish" => "topic",
                "tail" => "pattern",
                _ => "capability",
            };
            let expected = match command {
                "tail" => "a letter, a digit, `_`, `-`, or `*` or `**` as a whole segment",
                _ => "a letter, a digit, `_` or `-`",
            };
            for (name, fault) in [
                ("", "`` is empty"),
                ("a..b", "`a..b` has an empty segment at position 3"),
                (
                    "no name",
                    &format!("`no name` has ` ` at position 3, expected {expected}"),
                ),
                (
                    "ö.b",
                    &format!("`ö.b` has `ö` at position 1, expected {expected}"),
                ),
                (
                    "a.b*",
                    &format!("`a.b*` has `*` at position 4, expected {expected}"),
                ),
                (
                    &long,
                    &format!("`{short}…` is 256 bytes long, at most 255 are allowed"),
                ),
                (
                    &deep,
                    &format!("`{deep}` has 17 segments, at most 16 are allowed"),
                ),
            ] {
                let arguments = [&[command, name], data].concat();
                check_refused(&serving, &arguments, &format!("error: {what} {fault}\n"));
            }
        }
        check_refused(
            &serving,
            &["tail", "a.**.b"],
            "error: pattern `a.**.b` has `**` at position 3, expected it as the last segment only\n",
        );
        check_refused(
            &serving,
            &["publish", "kernel.stop", "1"],
            "error: the topic `kernel.stop` cannot be published to: `kernel.**` is the kernel's own\n",
        );
        for command in ["publish", "call"] {
            let arguments = [command, "neighbour.ping", "{"];
            let expect = format!(
                "error: `{{` is no JSON\n\
                 caused by: EOF while parsing an object at line 1 column 1\n\
                 hint: try `octa {command} neighbour.ping '{{\"key\": 1}}'`: single quotes keep the \
                 double ones from the shell\n"
            );
            check_refused(&serving, &arguments, &expect);
            let much = serving.home.root().join("much");
            fs::write(&much, "1".repeat((1 << 20) + 1)).expect("a file");
            let mut command = program::command(&serving.home, &[command, "neighbour.ping", "-"]);
            let output = command
                .stdin(File::open(much).expect("it is there"))
                .output();
            let output = output.expect("the program runs");
            let told = String::from_utf8_lossy(&output.stderr);
            let expect = "error: the input has more than 1048576 bytes, the most that are taken";
            assert_eq!((output.status.code(), told.trim_end()), (Some(3), expect));
        }
        serving.interrupt();
    });
}
