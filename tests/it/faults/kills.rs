//! Kills: processes that carry plugins are ended at any moment, under load. The kernel and all
//! other plugins go on, every call is answered, no event is lost, and nothing is left.

use std::{
    fs,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{
    holdings::{self, Holdings},
    host::{Host, seen},
};
use crate::{
    fixtures, forge,
    home::{Home, run_within, until},
};

/// The variable that says how many processes are ended.
const COUNT: &str = "OCTA_KILLS";

/// How many they are by default.
const FEW: u32 = 50;

/// The plugins whose processes are ended.
const VICTIMS: [&str; 3] = ["victim-01", "victim-02", "relay"];

/// Those that call and publish: the name, where it runs, and its settings. The first calls whom
/// nothing happens to.
const CALLERS: [(&str, &str, &str); 4] = [
    ("steady", "in-process", "call = \"neighbour.echo\""),
    (
        "stead1",
        "in-process",
        "call = \"victim-01.echo\"\npublish = \"victim-01.ping\"",
    ),
    (
        "stead2",
        "process",
        "call = \"victim-02.echo\"\npublish = \"victim-02.ping\"",
    ),
    (
        "stead3",
        "in-process",
        "call = \"victim-01.echo\"\nthrough = \"relay.forward\"",
    ),
];

fn home() -> Home {
    let mut toml = "[kernel]\nwatch = false\n".to_owned();
    for victim in VICTIMS {
        toml += &format!(
            "[plugins.{victim}]\nplacement = \"process\"\n\
             restart = {{ budget = 1000000, backoff = \"1ms\", backoff_max = \"10ms\" }}\n\
             allow = {{ call = [\"**\"] }}\n"
        );
    }
    for (caller, place, settings) in CALLERS {
        toml += &format!(
            "[plugins.{caller}]\nplacement = \"{place}\"\n\
             allow = {{ call = [\"**\"], publish = [\"**\"], subscribe = [\"**\"] }}\n\
             [plugins.{caller}.config]\nat_once = 4\n{settings}\n"
        );
    }
    let home = Home::with(&["relay", "steady"]).config(&toml);
    for victim in &VICTIMS[..2] {
        home.put(
            victim,
            &forge::manifest("neighbour", &[("neighbour", victim)]),
        );
    }
    for (caller, ..) in &CALLERS[1..] {
        home.put(caller, &forge::manifest("steady", &[("steady", caller)]));
    }
    home
}

#[test]
fn at_any_moment() {
    let count = fixtures::variable(COUNT).and_then(|text| text.to_str()?.parse().ok());
    let count: u32 = count.unwrap_or(FEW);
    let patience = Duration::from_secs(60) + count * Duration::from_secs(1);
    run_within(patience, async {
        let host = Host::run(home(), None);
        for plugin in VICTIMS
            .into_iter()
            .chain(CALLERS.map(|(caller, ..)| caller))
        {
            host.until(plugin, "started").await;
        }
        let before = host.holdings();
        let mut workers = before.children.clone();
        for _ in 0..count {
            workers.push(kill_one(&host).await);
        }
        for (caller, ..) in CALLERS {
            check_calls(&host, caller).await;
        }
        check_left(&host, &before).await;
        let root = host.root().to_owned();
        workers.extend(host.holdings().children);
        let (ended, home) = host.stop().await;
        assert!(ended.success(), "{ended}");
        until(|| {
            workers
                .iter()
                .all(|&worker| holdings::state(worker).is_none())
        })
        .await;
        let sockets = fs::read_dir(root.join("octa")).into_iter().flatten();
        assert_eq!(sockets.count(), 0, "sockets are left");
        drop(home);
    });
}

/// Ends the process of a plugin and waits until it is back in another; answers which that is.
async fn kill_one(host: &Host) -> u32 {
    let any = RandomState::new().build_hasher().finish();
    let victim = VICTIMS[usize::try_from(any % 3).unwrap_or_default()];
    let process = || {
        let plugin = host
            .plugin(victim)
            .filter(|plugin| plugin["state"] == "started")?;
        i32::try_from(plugin["process"]["id"].as_u64()?).ok()
    };
    seen(|| Some(process().is_some())).await;
    let old = process().and_then(Pid::from_raw).expect("it is started");
    kill_process(old, Signal::KILL).expect("it runs");
    seen(|| Some(Pid::from_raw(process()?) != Some(old))).await;
    old.as_raw_nonzero().get().unsigned_abs()
}

/// Checks that every call of a caller was answered, and where by an error, that it is one of those
/// that tell what happened; and that every event came back or was given up.
async fn check_calls(host: &Host, caller: &str) {
    let ask = |what: &str| host.ask(&format!("{caller}.{what}"), "null");
    ask("rest");
    seen(|| {
        let tally = ask("tally")?;
        Some(tally["is_resting"] == true && tally["missing"] == 0)
    })
    .await;
    let tally = ask("tally").expect("it answers");
    println!("{caller}: {tally}");
    let nothing = serde_json::Map::new();
    let failed = tally["failed"].as_object().unwrap_or(&nothing);
    let failures: u64 = failed.values().filter_map(Value::as_u64).sum();
    let number = |key: &str| tally[key].as_u64().unwrap_or_default();
    assert_eq!(
        number("begun"),
        number("answered") + failures,
        "{caller}: {tally}"
    );
    assert!(number("answered") > 0, "{caller}: {tally}");
    if caller == CALLERS[0].0 {
        assert_eq!(failures, 0, "{caller}: {tally}");
    }
    let causes = tally["given_up"].as_object().unwrap_or(&nothing);
    let early = causes
        .keys()
        .filter(|cause| !cause.starts_with("in 2 deliveries: "));
    assert_eq!(early.count(), 0, "{caller}: {tally}");
    let told = ["interrupted", "unavailable"];
    let others = failed.keys().filter(|kind| !told.contains(&kind.as_str()));
    assert_eq!(others.count(), 0, "{caller}: {tally}");
}

/// Checks that the kernel holds no more than before.
async fn check_left(host: &Host, before: &Holdings) {
    until(|| {
        let now = host.holdings();
        let is_alive = |&child: &u32| holdings::state(child).is_some_and(|state| state != 'Z');
        now.files <= before.files
            && now.shared == before.shared
            && now.children.len() == before.children.len()
            && now.children.iter().all(is_alive)
    })
    .await;
}
