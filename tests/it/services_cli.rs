//! What `octa` shows of capabilities, subscriptions and dead letters, and what can be done there.

use std::{process::Stdio, time::Duration};

use serde_json::{Value, json};

use crate::{
    forge,
    home::{Home, run},
    program::{Outcome, Serving, command, octa},
};

/// The data of an answer in JSON.
#[track_caller]
fn data(serving: &Serving, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json"]].concat();
    let done = octa(&serving.home, &arguments);
    let answer: Value = serde_json::from_str(&done.stdout).expect("an envelope");
    answer["data"].clone()
}

/// Checks a command: how it ends, and what it prints or tells.
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

/// What a command prints that ends when it has heard something.
async fn waited_for(serving: &Serving, arguments: &[&str]) -> String {
    let mut command = command(&serving.home, arguments);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
    while child.try_wait().expect("it is ours").is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let told = child.wait_with_output().expect("it is ours").stdout;
    String::from_utf8(told).expect("text")
}

/// The lines of a table, word by word.
fn words(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().map(|line| line.split_whitespace().collect());
    lines.collect()
}

/// A home with two who offer `shared.who`, treated so.
fn twins(settings: &str) -> Home {
    let home = Home::with(&["provider", "panics-in-handler"]);
    let produces = forge::manifest("provider", &[("provider", "produces")]);
    home.put("produces", &produces);
    let allow = "allow.provide = [\"shared.**\"]";
    home.config(&format!(
        "[plugins.provider]\n{allow}\n[plugins.produces]\n{allow}\n{settings}"
    ))
}

/// A program with all of them started.
async fn serve_twins(settings: &str) -> Serving {
    let serving = Serving::begin(twins(settings)).await;
    for plugin in ["provider", "produces", "panics-in-handler"] {
        serving.until(plugin, "started").await;
    }
    serving
}

#[test]
fn capabilities_are_shown_with_those_who_offer_them() {
    run(async {
        let serving = serve_twins(
            "[kernel]\nmeasure = true\n\
             [capabilities.\"shared.who\"]\nrouting = \"failover\"\n\
             order = [\"provider\", \"produces\"]\nconcurrency = 8\nqueue = 32\n\
             [pipelines]\n\"house.echo\" = [\"neighbour.echo\", \"neighbour.echo\"]\n",
        )
        .await;
        for _ in 0..3 {
            check(&serving, &["call", "shared.who"], 0, "\"provider\"\n");
        }
        check(&serving, &["call", "house.echo", "7"], 0, "7\n");
        let shown = octa(&serving.home, &["services"]);
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
        assert!(
            !shown.stdout.contains("hint"),
            "all is measured: {}",
            shown.stdout
        );
        let lines = words(&shown.stdout);
        let of = |name: &str, at: usize| {
            let mut lines = lines.iter().filter(|line| line[0] == name);
            lines.nth(at).expect("a line").clone()
        };
        let provider = of("shared.who", 0);
        let expect = [
            "shared.who",
            "provider",
            "failover",
            "1.00",
            "closed",
            "0/8",
            "0/32",
        ];
        assert_eq!(provider[..7], expect);
        assert_eq!(provider[8], "0/3");
        let produces = of("shared.who", 1);
        assert_eq!(produces[1], "produces");
        assert_eq!(produces[7..], ["0.0/s", "0/0", "-", "-"]);
        assert_eq!(of("neighbour.echo", 0)[4..7], ["-", "0", "-"]);
        assert_eq!(of("house.echo", 0)[1], "(pipeline)");

        let one = octa(&serving.home, &["services", "shared.who"]).stdout;
        let settings = words(&one);
        let from = |key: &str| {
            let mut lines = settings.iter().filter(|line| line.first() == Some(&key));
            lines.next().and_then(|line| line.last().copied())
        };
        assert_eq!(from("routing"), Some("octa.toml"));
        assert_eq!(from("queue"), Some("octa.toml"));
        assert_eq!(from("breaker"), Some("default"));
        assert_eq!(from("deadline"), Some("call_deadline"));
        let shown = data(&serving, &["services", "shared.who"]);
        assert_eq!(shown["providers"][0]["measured"]["calls"], 3);
        assert_eq!(shown["configured"]["queue"], 32);
        check(
            &serving,
            &["services", "shared.woh"],
            3,
            "error: no plugin offers the capability `shared.woh`\nhint: did you mean `shared.who`?\n",
        );
        check(
            &serving,
            &["services", "nothing-like-it"],
            3,
            "error: no plugin offers the capability `nothing-like-it`\n\
             hint: `octa services` shows the capabilities there are\n",
        );
        serving.interrupt();
    });
}

#[test]
fn what_is_not_measured_is_measured_while_somebody_looks() {
    run(async {
        let serving = serve_twins("").await;
        check(&serving, &["call", "neighbour.echo", "1"], 0, "1\n");
        let shown = octa(&serving.home, &["services"]).stdout;
        let hint = "hint: `octa services --for 2s` measures what is not measured, \
                    `measure = true` in `[kernel]` always\n";
        assert!(shown.ends_with(hint), "{shown}");
        // Nobody tells when the measuring begins: look and call until it has seen a call.
        let look = ["services", "neighbour.echo", "--for", "100ms", "--json"];
        let calls = loop {
            let mut looks = command(&serving.home, &look);
            let looks = looks.stdout(Stdio::piped()).spawn();
            let mut looks = looks.expect("it runs");
            while looks.try_wait().expect("it is ours").is_none() {
                octa(&serving.home, &["call", "neighbour.echo", "1"]);
            }
            let told = looks.wait_with_output().expect("it is ours").stdout;
            let answer: Value = serde_json::from_slice(&told).expect("an envelope");
            let measured = &answer["data"]["providers"][0]["measured"];
            assert!(measured.is_object(), "{answer}");
            if measured["calls"] != 0 {
                break measured.clone();
            }
        };
        assert_eq!(calls["failed"], 0);
        assert!(calls["per_second"].as_f64() > Some(0.0), "{calls}");
        let after = data(&serving, &["services", "neighbour.echo"]);
        assert_eq!(after["providers"][0]["measured"], Value::Null);
        // Who looks for long does not keep the kernel from its end.
        let mut looks = command(&serving.home, &["services", "--for", "1h", "--json"]);
        let looks = looks.stdout(Stdio::piped()).spawn();
        let looks = looks.expect("it runs");
        loop {
            let shown = data(&serving, &["services", "neighbour.echo"]);
            if shown["providers"][0]["measured"].is_object() {
                break;
            }
        }
        serving.interrupt();
        let told = looks.wait_with_output().expect("it is ours").stdout;
        let answer: Value = serde_json::from_slice(&told).expect("an envelope");
        assert_eq!(answer["ok"], true);
    });
}

#[test]
fn calls_bring_a_routing_key_or_do_without_retries() {
    run(async {
        let serving = serve_twins(
            "[capabilities.\"shared.who\"]\nrouting = \"by-key\"\n\
             [capabilities.\"panics-in-handler.now\"]\n\
             retry = { attempts = 3, backoff = \"1ms\", budget = 1.0 }\n",
        )
        .await;
        check(
            &serving,
            &["call", "shared.who"],
            3,
            "error: `shared.who` is routed by key, and the call brings none\n\
             hint: give the call a routing key: `ctx.with_routing_key(…)`, `octa call --routing-key …`\n",
        );
        let who = |key: &str| {
            let done = octa(&serving.home, &["call", "shared.who", "--routing-key", key]);
            assert_eq!(done.code, 0, "{done:?}");
            done.stdout
        };
        let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let mut found = keys.map(who);
        assert_eq!(found, keys.map(who), "the same key, the same provider");
        found.sort();
        assert!(
            found[0] < found[7],
            "two providers share the keys: {found:?}"
        );
        let retried = |key: &str, more: &[&str]| {
            let call = [
                "call",
                "panics-in-handler.now",
                "13",
                "--idempotency-key",
                key,
            ];
            let done = octa(&serving.home, &[&call, more].concat());
            assert_eq!(done.code, 1, "{done:?}");
            data(&serving, &["services", "panics-in-handler.now"])["counts"]["retried"].clone()
        };
        assert_eq!(retried("1", &["--no-retries"]), 0);
        assert_eq!(retried("2", &[]), 2);
        assert_eq!(retried("3", &["--no-retries"]), 2);
        serving.interrupt();
    });
}

/// Waits until these dead letters are there.
async fn letters(serving: &Serving, ids: &[u64]) -> Value {
    loop {
        let letters = data(serving, &["dead-letters", "list"]);
        let found = letters.as_array().expect("a list").iter();
        let found: Vec<Option<u64>> = found.map(|letter| letter["id"].as_u64()).collect();
        if found == ids.iter().copied().map(Some).collect::<Vec<_>>() {
            return letters;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn dead_letters_are_shown_replayed_and_forgotten() {
    run(async {
        let serving = Serving::begin(Home::with(&["fails-on-events"])).await;
        serving.until("fails-on-events", "started").await;
        check(&serving, &["dead-letters", "list"], 0, "no dead letters\n");
        check(
            &serving,
            &["dead-letters", "replay", "--all"],
            0,
            "no dead letters\n",
        );
        let publish = |number: &str| {
            let done = octa(&serving.home, &["publish", "fails-on-events.in", number]);
            assert_eq!(done.code, 0, "{done:?}");
        };
        publish("12345678901234567890123");
        publish("7");
        let listed = letters(&serving, &[1, 2]).await;
        assert_eq!(listed[1]["plugin"], "fails-on-events");
        assert_eq!(listed[1]["cause"], "number 7 is of no use");
        assert_eq!(listed[1]["attempts"], 3);
        assert_eq!(listed[1]["event"]["bytes"], 1);
        let table = octa(&serving.home, &["dead-letters", "list"]).stdout;
        let expect = "3      number 7 is of no use";
        assert!(table.lines().any(|line| line.ends_with(expect)), "{table}");
        let shown = octa(&serving.home, &["dead-letters", "show", "2"]).stdout;
        let expect = "dead letter 2 of `fails-on-events`, subscribed to `fails-on-events.in`\n";
        assert!(shown.starts_with(expect), "{shown}");
        assert!(shown.ends_with(" fails-on-events.in  7\n"), "{shown}");
        // What JSON says of the event is what was published.
        let whole = octa(&serving.home, &["dead-letters", "show", "1", "--json"]).stdout;
        assert!(
            whole.contains("\"data\":12345678901234567890123"),
            "{whole}"
        );

        check(
            &serving,
            &["dead-letters", "replay", "2"],
            0,
            "`fails-on-events` is given the event of dead letter 2 again\n",
        );
        letters(&serving, &[1, 3]).await;
        check(
            &serving,
            &["dead-letters", "forget", "1"],
            0,
            "dead letter 1 is forgotten\n",
        );
        for action in ["show", "replay", "forget"] {
            let none = "error: there is no dead letter 1\n\
                        hint: `octa dead-letters list` shows those there are\n";
            check(&serving, &["dead-letters", action, "1"], 3, none);
        }
        let stopped = octa(&serving.home, &["stop", "fails-on-events"]);
        assert_eq!(stopped.code, 0, "{stopped:?}");
        let nobody = "plugin `fails-on-events` does not listen to `fails-on-events.in` now\n";
        check(
            &serving,
            &["dead-letters", "replay", "3"],
            1,
            &format!("error: {nobody}hint: start `fails-on-events` first\n"),
        );
        check(
            &serving,
            &["dead-letters", "replay", "--all"],
            1,
            &format!(
                "replayed 0 dead letters\n3 stays: {nobody}  hint: start `fails-on-events` first\n"
            ),
        );
        let started = octa(&serving.home, &["start", "fails-on-events"]);
        assert_eq!(started.code, 0, "{started:?}");
        check(
            &serving,
            &["dead-letters", "replay", "--all"],
            0,
            "replayed 1 dead letter\n",
        );
        letters(&serving, &[4]).await;
        let counted = data(&serving, &["subscriptions", "fails-on-events"]);
        assert_eq!(counted[0]["pattern"], "fails-on-events.in");
        assert_eq!(counted[0]["dead"], 1, "since it was started again");
        serving.interrupt();
    });
}

#[test]
fn subscriptions_are_shown_with_what_became_of_their_events() {
    run(async {
        let serving = Serving::begin(Home::with(&[])).await;
        for number in 0..5 {
            let ping = ["publish", "neighbour.ping", &number.to_string()];
            assert_eq!(octa(&serving.home, &ping).code, 0);
        }
        let counted = || data(&serving, &["subscriptions", "neighbour"])[0].clone();
        while counted()["delivered"] != 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let table = octa(&serving.home, &["subscriptions", "neighbour"]).stdout;
        let expect = [
            "neighbour",
            "neighbour.ping",
            "drop-oldest",
            "1",
            "0/1024",
            "0",
            "5",
            "5",
            "0",
            "0",
            "0",
        ];
        assert_eq!(words(&table)[1], expect, "{table}");
        let all = octa(&serving.home, &["subscriptions"]).stdout;
        assert!(all.lines().any(|line| line.starts_with("host ")), "{all}");
        assert!(
            all.lines().any(|line| line.starts_with("neighbour ")),
            "{all}"
        );
        check(
            &serving,
            &["subscriptions", "neighbuor"],
            3,
            "error: there is no plugin `neighbuor`\nhint: `octa list` shows the plugins there are\n",
        );
        serving.interrupt();
    });
}

#[test]
fn a_retained_event_is_handed_to_who_comes_until_it_is_cleared() {
    run(async {
        let serving = Serving::begin(Home::with(&[])).await;
        let retain = ["publish", "house.mode", r#"{"night": 1.50}"#, "--retain"];
        assert_eq!(octa(&serving.home, &retain).code, 0);
        let tail = ["tail", "house.*", "--count", "1", "--json"];
        let first = waited_for(&serving, &tail).await;
        let event: Value = serde_json::from_str(&first).expect("an event");
        assert_eq!(
            [&event["topic"], &event["data"]],
            [&json!("house.mode"), &json!({"night": 1.5})]
        );
        check(
            &serving,
            &["publish", "--clear", "house.mode"],
            0,
            "nothing is retained of `house.mode` any more\n",
        );
        check(
            &serving,
            &["publish", "--clear", "house.mode"],
            0,
            "nothing was retained of `house.mode`\n",
        );
        check(
            &serving,
            &["publish", "--clear", "kernel.mode"],
            3,
            "error: the topic `kernel.mode` cannot be published to: `kernel.**` is the kernel's own\n",
        );
        let wrong = octa(&serving.home, &["publish", "--clear", "house..mode"]);
        assert_eq!(wrong.code, 3, "{wrong:?}");
        assert!(
            wrong.stderr.starts_with("error: topic `house..mode`"),
            "{wrong:?}"
        );
        serving.interrupt();
    });
}
