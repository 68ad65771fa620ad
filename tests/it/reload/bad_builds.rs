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
    check(
        "reload-panics-in-restore",
        "panicked: `restore` of plugin `counter`: panicked: version 1 brings bad luck (at zoo/reload-panics-in-restore/src/lib.rs:15:9)",
    );
}

#[test]
fn panics_in_start() {
    check(
        "reload-panics-in-start",
        "panicked: `start` of plugin `counter`: panicked: a bad start (at zoo/reload-panics-in-start/src/lib.rs:15:9)",
    );
}

#[test]
fn panics_in_health() {
    check(
        "reload-panics-in-health",
        "panicked: `health` of plugin `counter`: panicked: do not ask (at zoo/reload-panics-in-health/src/lib.rs:14:9)",
    );
}

#[test]
fn fails_in_start() {
    check(
        "reload-fails-in-start",
        "failed: `start` of plugin `counter`: the ink is dry (hint: refill the ink)",
    );
}

#[test]
fn is_unwell() {
    check(
        "reload-unwell",
        "failed: plugin `counter` 1.2.0 does not pass its probe: its health is 0",
    );
}

#[test]
fn does_not_know_the_state() {
    check(
        "reload-unmigrated",
        "unsupported: `restore` of plugin `counter`: nobody wrote a migration from 1",
    );
}

#[test]
fn wants_more_than_is_granted() {
    check(
        "reload-asks-more",
        "denied: plugin `counter` may not publish `alert.raised`: it lies outside the plugin's own namespace and is not granted (hint: to grant it, write into the configuration under `[plugins.counter.allow]`: `publish = [\"alert.raised\"]`)",
    );
}

#[test]
fn acts_in_start() {
    check(
        "reload-acts-in-start",
        "unavailable: `start` of plugin `counter`: plugin `counter` has not taken over yet and may not write `counter/began` (hint: do it in a task (`ctx.spawn`) or in a handler: they run once this generation has taken over)",
    );
}

#[test]
fn hands_nothing_over() {
    run(async {
        let stand = Stand::of("reload-panics-in-save").await;
        stand.put("reload-b");
        stand.check_refused("panicked: `save` of plugin `counter`: panicked: what is mine stays mine (at zoo/reload-panics-in-save/src/lib.rs:15:9)").await;
        stand.end("reload-panics-in-save").await;
    });
}

#[test]
fn has_an_older_state() {
    run(async {
        let stand = Stand::of("reload-b").await;
        stand.put("reload-a");
        stand.check_refused("conflict: plugin `counter` 1.0.0 reads state up to version 1, and what runs has version 2 (hint: a rollback can restore the state saved at the switch (`--restore-saved`) and lose what came later)").await;
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
        stand.check_refused("blocked: `reload-dependent` needs the capability `counter.get`, which no plugin offers (hint: did you mean `counter.add`?)").await;
        put_bytes(
            &stand.running.home,
            &forge::manifest("reload-b", &[("\"1.1.0\"", "\"2.0.0\"")]),
        );
        stand.check_refused("blocked: `reload-dependent` needs the plugin `counter` in version `^1`, found `counter` `2.0.0` (hint: add a plugin that offers it in a version that meets `^1`)").await;
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
        "rejected: file `HOME/plugins/counter.so`: plugin `counter` speaks ABI 7.0, this host speaks ABI 1.x (hint: update this host, or build the plugin with an older plugin API)",
    );
}

#[test]
fn is_cut_short() {
    let whole = read(&fixtures::library("reload-b"));
    let (all, half) = (whole.len(), whole.len() / 2);
    let expect = format!(
        "rejected: file `HOME/plugins/counter.so` is truncated: its ELF headers speak of {all} \
         bytes, found {half} (hint: copy it again: it did not arrive whole, or the copy is still \
         under way)"
    );
    check_bytes(&whole[..half], &expect);
}

#[test]
fn is_no_library() {
    check_bytes(
        b"not a library",
        "rejected: file `HOME/plugins/counter.so` is not a library: expected an ELF shared object, found text (hint: build the plugin and copy the finished library here, or remove this file)",
    );
}

#[test]
fn is_another_plugin() {
    check_bytes(
        &forge::manifest("reload-b", &[("\"counter\"", "\"kounter\"")]),
        "rejected: file `HOME/plugins/counter.so` holds plugin `kounter` now, not `counter`",
    );
}

#[test]
fn is_gone() {
    run(async {
        let stand = Stand::of("reload-a").await;
        let path = put(&stand.running.home, "reload-b");
        fs::remove_file(path).expect("it was there");
        stand.check_refused("rejected: file `HOME/plugins/counter.so` cannot be opened: No such file or directory (os error 2) (hint: it was removed, or it is a link that leads nowhere)").await;
        stand.succeed("reload-b").await;
        stand.end("reload-b").await;
    });
}
