//! Each wish, granted and refused in each way.

use octa_loader::Permissions;
use serde_json::json;

use super::*;
use crate::config::Config;

/// A plugin `lamp` that asks in every way for something of its own, something beyond, and something
/// of the kernel's.
fn manifest() -> Manifest {
    let json = json!({
        "manifest": "1.0",
        "name": "lamp",
        "version": "0.1.0",
        "abi": {"major": 1, "minor": 0, "fingerprint": "00ff00ff00ff00ff"},
        "compiler": "rustc 1.95.0",
        "panic": "unwind",
        "target": "x86_64-unknown-linux-gnu",
        "capabilities": [{"name": "lamp.on"}, {"name": "LOAD_CONFIG"}, {"name": "kernel.stop"}],
        "subscriptions": [
            {"pattern": "lamp.**"},
            {"pattern": "sysmon.*.load"},
            {"pattern": "kernel.plugin.*"},
        ],
        "permissions": {
            "call": ["lamp.**", "devices.**"],
            "publish": ["lamp", "lamp.**", "alert.**", "kernel.**"],
            "subscribe": ["door.*.open", "sysmon.*.load"],
            "storage": ["lamp", "history"],
            "state": ["lamp.cache", "shared"],
        },
    });
    Manifest::from_json(json.to_string().as_bytes()).expect("a manifest")
}

fn allow(lines: &str) -> Allow {
    let text = format!("[plugins.lamp.allow]\n{lines}");
    Config::parse(&text, "octa.toml")
        .expect("a configuration")
        .plugin("lamp")
        .allow
}

/// Grants all that can be granted.
fn everything() -> Allow {
    let lines = Reach::ALL.map(|reach| format!("{} = [\"**\"]\n", reach.key()));
    allow(&lines.concat())
}

fn refusal(allow: &Allow, wish: Wish<'_>) -> Why {
    authorize(&manifest(), allow, wish)
        .expect_err("a refusal")
        .why
}

#[test]
fn the_own_namespace_needs_no_grant() {
    for wish in [
        Wish::Call("lamp.on"),
        Wish::Call("lamp.other"),
        Wish::Publish("lamp"),
        Wish::Publish("lamp.changed"),
        Wish::Subscribe("lamp.**"),
        Wish::Subscribe("lamp.changed"),
        Wish::Subscribe("kernel.plugin.started"),
        Wish::Storage("lamp"),
        Wish::State("lamp.cache"),
        Wish::Provide("lamp.on"),
    ] {
        let grant = authorize(&manifest(), &Allow::default(), wish).expect("granted");
        assert_eq!((grant.reach(), grant.target().as_str()), wish.parts());
    }
}

#[test]
fn beyond_it_each_wish_needs_its_line() {
    for (wish, line) in [
        (Wish::Call("devices.turn_on"), "call = [\"devices.**\"]"),
        (Wish::Publish("alert.fire"), "publish = [\"alert.**\"]"),
        (
            Wish::Subscribe("sysmon.cpu.load"),
            "subscribe = [\"sysmon.*.load\"]",
        ),
        (
            Wish::Subscribe("sysmon.*.load"),
            "subscribe = [\"sysmon.*.load\"]",
        ),
        (
            Wish::Subscribe("door.front.open"),
            "subscribe = [\"door.*.open\"]",
        ),
        (Wish::Storage("history"), "storage = [\"history\"]"),
        (Wish::State("shared"), "state = [\"shared\"]"),
        (Wish::Provide("LOAD_CONFIG"), "provide = [\"LOAD_CONFIG\"]"),
    ] {
        let denied = authorize(&manifest(), &Allow::default(), wish).expect_err("not granted");
        assert_eq!(denied.why, Why::NotGranted, "{wish}");
        assert_eq!(denied.grant(), Some(("[plugins.lamp.allow]".into(), line)));
        assert!(
            authorize(&manifest(), &allow(line), wish).is_ok(),
            "`{line}` grants {wish}"
        );
        // A line of another kind grants nothing.
        let (reach, _) = wish.parts();
        for other in Reach::ALL.into_iter().filter(|other| *other != reach) {
            let other = allow(&format!("{} = [\"**\"]", other.key()));
            assert_eq!(refusal(&other, wish), Why::NotGranted, "{wish}");
        }
    }
}

#[test]
fn what_was_not_asked_is_refused_whatever_is_granted() {
    for wish in [
        Wish::Call("sysmon.read"),
        Wish::Call("**"),
        Wish::Publish("device.changed"),
        Wish::Publish("alert"),
        Wish::Subscribe("sysmon.**"),
        Wish::Subscribe("sysmon.*"),
        Wish::Subscribe("door.front.shut"),
        Wish::Subscribe("kernel.**"),
        Wish::Storage("other"),
        Wish::Storage("lamp.deep"),
        Wish::State("lamp"),
        Wish::Provide("lamp.off"),
        Wish::Provide("SAVE_CONFIG"),
    ] {
        assert_eq!(refusal(&everything(), wish), Why::NotAsked, "{wish}");
    }
}

#[test]
fn a_grant_must_cover_the_whole_wish() {
    for (wish, line) in [
        (
            Wish::Subscribe("sysmon.*.load"),
            "subscribe = [\"sysmon.cpu.load\"]",
        ),
        (Wish::Call("devices.**"), "call = [\"devices.*\"]"),
        (
            Wish::Publish("alert.a.b"),
            "publish = [\"alert.*\", \"alerts.**\"]",
        ),
        (Wish::Storage("history"), "storage = [\"history.**\"]"),
    ] {
        assert_eq!(
            refusal(&allow(line), wish),
            Why::NotGranted,
            "{wish} by {line}"
        );
    }
}

#[test]
fn the_kernel_speaks_for_itself() {
    for wish in [
        Wish::Publish("kernel.plugin.started"),
        Wish::Publish("kernel"),
        Wish::Publish("kernel.**"),
        Wish::Provide("kernel.stop"),
        Wish::Storage("kernel.dead_letters"),
    ] {
        assert_eq!(refusal(&everything(), wish), Why::Reserved, "{wish}");
    }
    let mut gateway = manifest();
    gateway.permissions.publish = vec!["**".parse().expect("a pattern")];
    let grant = authorize(&gateway, &everything(), Wish::Publish("**")).expect("granted");
    assert!(grant.permits("any.thing"));
    assert!(!grant.permits("kernel.plugin.started"));
}

#[test]
fn a_target_must_be_well_formed() {
    for wish in [
        Wish::Call(""),
        Wish::Publish("lamp..x"),
        Wish::Subscribe("**.lamp"),
        Wish::Storage("lamp/../history"),
        Wish::State("lamp\n"),
        Wish::Provide("lamp.o*"),
    ] {
        assert!(
            matches!(refusal(&everything(), wish), Why::Malformed(_)),
            "{wish}"
        );
    }
}

#[test]
fn what_may_be_provided_may_be_called() {
    assert_eq!(
        refusal(&Allow::default(), Wish::Call("LOAD_CONFIG")),
        Why::NotAsked
    );
    let provides = allow("provide = [\"LOAD_CONFIG\"]");
    assert!(authorize(&manifest(), &provides, Wish::Call("LOAD_CONFIG")).is_ok());
}

#[test]
fn a_refusal_says_plugin_wish_reason_and_remedy() {
    let some = allow("publish = [\"weather.**\"]");
    let denied =
        authorize(&manifest(), &some, Wish::Publish("alert.fire")).expect_err("not granted");
    assert_eq!(
        denied.to_string(),
        "plugin `lamp` may not publish `alert.fire`: \
         it lies outside the plugin's own namespace and is not granted"
    );
    assert_eq!(
        denied.hint().expect("a hint"),
        "to grant it, write into the configuration under `[plugins.lamp.allow]`: \
         `publish = [\"weather.**\", \"alert.**\"]`"
    );
    let denied = authorize(&manifest(), &some, Wish::Storage("other")).expect_err("not asked");
    assert_eq!(
        denied.to_string(),
        "plugin `lamp` may not use the storage namespace `other`: its manifest does not ask for it"
    );
    assert_eq!(denied.grant(), None);
}

#[test]
fn what_was_not_asked_is_told_with_what_the_author_writes() {
    let mut bare = manifest();
    bare.permissions = Permissions::default();
    let lamp = manifest();
    for (manifest, wish, expected) in [
        (
            &lamp,
            Wish::Call("sysmon.read"),
            "ask for it in the plugin: \
             `#[tentacle(calls(\"lamp.**\", \"devices.**\", \"sysmon.read\"))]`",
        ),
        (
            &bare,
            Wish::Call("sysmon.read"),
            "ask for it in the plugin: `#[tentacle(calls = \"sysmon.read\")]`",
        ),
        (
            &bare,
            Wish::Call("load_confg"),
            "did you mean `LOAD_CONFIG`? otherwise ask for it in the plugin: \
             `#[tentacle(calls = \"load_confg\")]`",
        ),
        (
            &bare,
            Wish::Publish("alarm.*"),
            "ask for it in the plugin: `#[tentacle(publishes = \"alarm.*\")]`",
        ),
        (
            &lamp,
            Wish::Subscribe("lamps"),
            "ask for it in the plugin: \
             `#[tentacle(subscribes(\"door.*.open\", \"sysmon.*.load\", \"lamps\"))]`",
        ),
        (
            &bare,
            Wish::Subscribe("door.*.shut"),
            "ask for it in the plugin: `#[tentacle(subscribes = \"door.*.shut\")]`",
        ),
        // Not even if it is like another topic.
        (
            &lamp,
            Wish::Publish("lamps"),
            "ask for it in the plugin: `#[tentacle(publishes(\"lamp\", \"lamp.**\", \
             \"alert.**\", \"kernel.**\", \"lamps\"))]`",
        ),
        (
            &lamp,
            Wish::Storage("histroy"),
            "did you mean `history`? otherwise ask for it in the plugin: \
             `#[tentacle(storage(\"lamp\", \"history\", \"histroy\"))]`",
        ),
        (
            &lamp,
            Wish::State("lamps.cache"),
            "did you mean `lamp.cache`? otherwise ask for it in the plugin: \
             `#[tentacle(state(\"lamp.cache\", \"shared\", \"lamps.cache\"))]`",
        ),
        (
            &lamp,
            Wish::Provide("lamp.dim"),
            "ask for it in the plugin: `#[capability(\"lamp.dim\")]`",
        ),
    ] {
        let denied = authorize(manifest, &everything(), wish).expect_err("not asked");
        assert_eq!(denied.why, Why::NotAsked, "{wish}");
        assert_eq!(denied.hint().expect("a hint"), expected);
    }
}

#[test]
fn what_is_malformed_is_told_as_what_it_was_meant_to_be() {
    for (wish, expected) in [
        (
            Wish::Call("a b"),
            "call `a b`: capability `a b` has ` ` at position 2, expected a letter, a digit, \
             `_` or `-`",
        ),
        (
            Wish::Publish("a b"),
            "publish `a b`: topic `a b` has ` ` at position 2, expected a letter, a digit, \
             `_` or `-`",
        ),
        (
            Wish::Subscribe("**.lamp"),
            "subscribe to `**.lamp`: pattern `**.lamp` has `**` at position 1, expected it as \
             the last segment only",
        ),
        (
            Wish::Storage("a..b"),
            "use the storage namespace `a..b`: namespace `a..b` has an empty segment at \
             position 3",
        ),
    ] {
        let denied = authorize(&manifest(), &everything(), wish).expect_err("malformed");
        assert_eq!(
            denied.to_string(),
            format!("plugin `lamp` may not {expected}")
        );
    }
}

#[test]
fn a_review_lists_all_that_is_lacking() {
    let mut manifest = manifest();
    manifest
        .permissions
        .publish
        .push("news.**".parse().expect("a pattern"));
    let denied = review(&manifest, &Allow::default());
    let told: Vec<&str> = denied.iter().map(|denied| denied.wish.as_str()).collect();
    assert_eq!(
        told,
        [
            "call `devices.**`",
            "publish `alert.**`, `news.**`",
            "publish `kernel.**`",
            "subscribe to `sysmon.*.load`, `door.*.open`",
            "use the storage namespace `history`",
            "use the state namespace `shared`",
            "provide `LOAD_CONFIG`",
            "provide `kernel.stop`",
        ]
    );
    let line = "publish = [\"alert.**\", \"news.**\"]";
    assert_eq!(denied[1].grant().map(|(_, line)| line), Some(line));
    assert_eq!(
        denied[1].to_string(),
        "plugin `lamp` may not publish `alert.**`, `news.**`: \
         they lie outside the plugin's own namespace and are not granted"
    );
    assert_eq!(
        denied[1].hint().expect("a hint"),
        format!(
            "to grant them, write into the configuration under `[plugins.lamp.allow]`: `{line}`"
        )
    );
    assert_eq!(
        denied[2].to_string(),
        "plugin `lamp` may not publish `kernel.**`: `kernel` is the kernel's own namespace"
    );
    assert_eq!(
        review(&manifest, &everything()).len(),
        2,
        "only what is the kernel's"
    );
}

#[test]
fn a_review_grows_as_what_is_lacking_does() {
    let told = |count: usize| {
        let mut manifest = manifest();
        let topics = (0..count).map(|n| format!("news.{n:04}").parse().expect("a pattern"));
        let namespaces = (0..count).map(|n| format!("shelf.{n:04}"));
        manifest.permissions.publish = topics.collect();
        manifest.permissions.storage = namespaces.collect();
        let denied = review(&manifest, &Allow::default());
        let hints = denied.iter().map(|it| it.hint().expect("a hint").len());
        let texts = denied.iter().map(|it| it.to_string().len());
        (denied.len(), texts.chain(hints).sum::<usize>())
    };
    let ((few, short), (many, long)) = (told(100), told(1_000));
    assert_eq!(few, many, "each kind is told once");
    assert!(long < 11 * short, "{short} bytes became {long}");
    let mut manifest = manifest();
    manifest.permissions.storage = ["shelf.a", "shelf.b"].map(String::from).into();
    let denied = review(&manifest, &Allow::default());
    let told = "plugin `lamp` may not use the storage namespaces `shelf.a`, `shelf.b`: ";
    assert!(denied.iter().any(|it| it.to_string().starts_with(told)));
}

#[test]
fn who_names_a_fallback_wants_to_call_it() {
    let mut manifest = manifest();
    let fall_back = |manifest: &mut Manifest, name: &str| {
        manifest.capabilities[0].policy.fallback = Some(name.to_owned());
        review(manifest, &Allow::default())
            .iter()
            .map(ToString::to_string)
            .filter(|it| it.contains(name))
            .count()
    };
    assert_eq!(fall_back(&mut manifest, "lamp.cached"), 0, "it is its own");
    assert_eq!(fall_back(&mut manifest, "torch.on"), 1);
    let granted = allow("call = [\"torch.on\"]");
    let torch = Wish::Call("torch.on");
    assert!(authorize(&manifest, &granted, torch).is_ok());
    assert!(authorize(&manifest, &Allow::default(), torch).is_err());
}
