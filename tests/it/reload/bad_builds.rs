//! Builds that are refused before they serve: the one that runs never notices.

use std::fs;

use octa_kernel::lifecycle::State;
use serde_json::json;

use super::stand::{COUNTER, Stand, put, put_bytes};
use crate::{
    fixtures, forge,
    home::{Home, next, read, run},
};

/// Checks how a build is refused in place of the first one, and that the second one is not.
#[track_caller]
fn check(build: &str, expect: &str) {
    run(async {
        let stand = Stand::of("reload-a").await;
        let mut failures = stand.running.subscribe("kernel.plugin.reload_failed").await;
        stand.put(build);
        stand.check_refused(expect).await;
        let told = next(&mut failures).await;
        assert_eq!(told["plugin"], COUNTER);
        stand.succeed("reload-b").await;
        stand.end("reload-b").await;
    });
}

/// Checks how a file that is no build that could run here is refused.
#[track_caller]
fn check_bytes(bytes: &[u8], expect: &str) {
    run(async {
        let stand = Stand::of("reload-a").await;
        put_bytes(&stand.running.home, bytes);
        stand.check_refused(expect).await;
        stand.succeed("reload-b").await;
        stand.end("reload-b").await;
    });
}

#[test]
fn panics_in_create() {
    check(
        "reload-panics-in-create",
        "panicked: `create` of plugin `counter`: panicked: the mould is broken (at zoo/reload-panics-in-create/src/lib.rs:15:9)",
    );
}

#[test]
fn panics_in_restore() {
    check("reload-panics-in-restore", "?");
}

#[test]
fn panics_in_start() {
    check("reload-panics-in-start", "?");
}

#[test]
fn panics_in_health() {
    check("reload-panics-in-health", "?");
}

#[test]
fn fails_in_start() {
    check("reload-fails-in-start", "?");
}

#[test]
fn is_unwell() {
    check("reload-unwell", "?");
}

#[test]
fn does_not_know_the_state() {
    check("reload-unmigrated", "?");
}

#[test]
fn wants_more_than_is_granted() {
    check("reload-asks-more", "?");
}

#[test]
fn acts_in_start() {
    check("reload-acts-in-start", "?");
}

#[test]
fn hands_nothing_over() {
    run(async {
        let stand = Stand::of("reload-panics-in-save").await;
        stand.put("reload-b");
        stand.check_refused("?").await;
        stand.end("reload-panics-in-save").await;
    });
}

#[test]
fn has_an_older_state() {
    run(async {
        let stand = Stand::of("reload-b").await;
        stand.put("reload-a");
        stand.check_refused("?").await;
        stand.succeed("reload-b").await;
        stand.end("reload-b").await;
    });
}

#[test]
fn offers_less_than_others_need() {
    run(async {
        let home = Home::with(&["reload-dependent"]).config(
            "[kernel]\nwatch = false\n[plugins.reload-dependent.allow]\ncall = [\"counter.**\"]\n",
        );
        let stand = Stand::over(home, "reload-a").await;
        stand.put("reload-fewer");
        stand.check_refused("?").await;
        put_bytes(
            &stand.running.home,
            &forge::manifest("reload-b", &[("\"1.1.0\"", "\"2.0.0\"")]),
        );
        stand.check_refused("?").await;
        stand.succeed("reload-b").await;
        stand.running.check("reload-dependent", State::Started, &[]);
        let got = stand
            .running
            .call("reload-dependent.get", json!(null))
            .await;
        assert_eq!(got.expect("it answers")["by"], "reload-b");
        stand.end("reload-b").await;
    });
}

#[test]
fn speaks_another_abi() {
    check_bytes(
        &forge::manifest("reload-b", &[("\"major\":1", "\"major\":7")]),
        "?",
    );
}

#[test]
fn speaks_the_same_abi_otherwise() {
    let ours = octa_plugin_abi::FINGERPRINT;
    check_bytes(
        &forge::manifest("reload-b", &[(ours, "0123456789abcdef")]),
        "?",
    );
}

#[test]
fn is_cut_short() {
    let whole = read(&fixtures::library("reload-b"));
    check_bytes(&whole[..whole.len() / 2], "?");
}

#[test]
fn is_no_library() {
    check_bytes(b"not a library", "?");
}

#[test]
fn is_another_plugin() {
    check_bytes(
        &forge::manifest("reload-b", &[("\"counter\"", "\"kounter\"")]),
        "?",
    );
}

#[test]
fn is_gone() {
    run(async {
        let stand = Stand::of("reload-a").await;
        let path = put(&stand.running.home, "reload-b");
        fs::remove_file(path).expect("it was there");
        stand.check_refused("?").await;
        stand.succeed("reload-b").await;
        stand.end("reload-b").await;
    });
}
