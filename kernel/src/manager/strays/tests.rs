//! What is told of names that are nobody's, and of settings that nothing is done with.

use octa_loader::Manifest;
use serde_json::{Value, json};

use super::*;

/// A manifest with these capabilities, and these keys over the usual ones.
fn manifest(name: &str, capabilities: &[Value], more: Value) -> Manifest {
    let mut manifest = json!({
        "manifest": "1.0",
        "name": name,
        "version": "0.1.0",
        "abi": {"major": 1, "minor": 0, "fingerprint": "00ff00ff00ff00ff"},
        "compiler": "rustc 1.95.0",
        "panic": "unwind",
        "target": "x86_64-unknown-linux-gnu",
        "capabilities": capabilities,
    });
    let more = more.as_object().cloned().unwrap_or_default();
    manifest.as_object_mut().expect("an object").extend(more);
    Manifest::from_json(manifest.to_string().as_bytes()).expect("a manifest")
}

fn plugins() -> Vec<Manifest> {
    let plain = |name: &str| json!({ "name": name });
    vec![
        manifest("alpha", &[plain("svc.who"), plain("svc.cached")], json!({})),
        manifest(
            "beta",
            &[plain("svc.other")],
            json!({"placement": "process"}),
        ),
        manifest(
            "gamma",
            &[json!({"name": "gamma.work", "policy": {"concurrency": 2}})],
            json!({"placement": "in-process"}),
        ),
    ]
}

/// Checks what is told of a configuration, each problem with its hint.
#[track_caller]
fn check(toml: &str, expect: &[&str]) {
    let config = Config::parse(toml, "octa.toml").expect("a configuration");
    let plugins = plugins();
    let told: Vec<String> = strays(&config, plugins.iter())
        .iter()
        .map(crate::manager::with_hint)
        .collect();
    assert_eq!(told, expect, "{toml}");
}

#[test]
fn nothing_is_told_of_what_is_there() {
    check("", &[]);
    check(
        "[plugins.alpha]\nenabled = false\nlimits = { memory = \"1MiB\" }\n\
         [plugins.beta]\ngroup = \"g\"\nsandbox = { network = true }\nlimits = { open_files = 9 }\n\
         [plugins.gamma]\nsandbox = { off = true }\n\
         [capabilities.\"svc.who\"]\norder = [\"alpha\"]\nfallback = \"svc.line\"\n\
         [capabilities.\"svc.line\"]\nrate = { calls = 1 }\n\
         [capabilities.\"gamma.work\"]\nqueue = 7\nwait = \"1s\"\n\
         [capabilities.\"svc.other\"]\nconcurrency = 1\nqueue = 7\n\
         [pipelines]\n\"svc.line\" = [\"svc.cached\", \"svc.short\"]\n\"svc.short\" = [\"svc.other\"]\n\
         [storage.quotas]\nnobodys = \"1GiB\"\n",
        &[],
    );
    // Apart by the configuration alone.
    check(
        "[plugins.alpha]\nplacement = \"process\"\nlimits = { memory = \"1MiB\" }\n",
        &[],
    );
}

#[test]
fn names_that_are_nobodys_are_told_with_the_nearest() {
    check(
        "[plugins.bteta]\nenabled = false\n[plugins.unlike.allow]\ncall = []\n",
        &[
            "octa.toml:1:1: `plugins.bteta` is of no plugin there is (hint: did you mean `beta`?)",
            "octa.toml:3:10: `plugins.unlike` is of no plugin there is (hint: `octa list` shows the plugins there are)",
        ],
    );
    check(
        "[capabilities.\"svc.whoo\"]\norder = [\"alpa\"]\n",
        &[
            "octa.toml:1:1: `capabilities.\"svc.whoo\"` is of a capability that no plugin offers (hint: did you mean `svc.who`?)",
            "octa.toml:2:10: `capabilities.\"svc.whoo\".order[0]` is `alpa`, which is no plugin there is (hint: did you mean `alpha`?)",
        ],
    );
    check(
        "[capabilities.\"svc.who\"]\norder = [\"beta\", \"alpha\"]\nfallback = \"svc.lime\"\n\
         [pipelines]\n\"svc.line\" = [\"svc.other\", \"nothing.like.it\"]\n",
        &[
            "octa.toml:2:10: `capabilities.\"svc.who\".order[0]` is `beta`, which does not offer `svc.who` (hint: `octa why svc.who` shows who does)",
            "octa.toml:3:12: `capabilities.\"svc.who\".fallback` is `svc.lime`, which no plugin offers (hint: did you mean `svc.line`?)",
            "octa.toml:5:28: `pipelines.\"svc.line\"[1]` is `nothing.like.it`, which no plugin offers (hint: `octa services` shows the capabilities there are)",
        ],
    );
}

#[test]
fn a_configuration_that_was_not_read_has_no_places() {
    let mut config = Config::default();
    config
        .plugins
        .insert("bteta".to_owned(), PluginConfig::default());
    let plugins = plugins();
    let told = strays(&config, plugins.iter());
    assert_eq!(told[0].message, "`plugins.bteta` is of no plugin there is");
}

#[test]
fn what_holds_in_processes_alone_is_told_in_this_one() {
    check(
        "[plugins.alpha]\ngroup = \"g\"\nlimits = { memory = \"1MiB\" }\nsandbox = { network = true }\n\
         [plugins.gamma.limits]\nopen_files = 9\n",
        &[
            "octa.toml:2:9: `plugins.alpha.group` has no effect: the plugin runs in the kernel's own process (hint: give it a process of its own: `placement = \"process\"` in `[plugins.alpha]`)",
            "octa.toml:3:10: `plugins.alpha.limits` has no effect: the plugin runs in the kernel's own process (hint: give it a process of its own: `placement = \"process\"` in `[plugins.alpha]`)",
            "octa.toml:4:11: `plugins.alpha.sandbox` has no effect: the plugin runs in the kernel's own process (hint: give it a process of its own: `placement = \"process\"` in `[plugins.alpha]`)",
            "octa.toml:5:1: `plugins.gamma.limits` has no effect: the plugin runs in the kernel's own process (hint: take it out of `[plugins.gamma]`: the plugin runs nowhere else)",
        ],
    );
}

#[test]
fn who_may_not_be_confined_and_is_to_be_is_held() {
    let told = |plugin: usize, toml: &str| {
        let manifest = &plugins()[plugin];
        let text = format!("[plugins.{}]\n{toml}", manifest.name);
        let config = Config::parse(&text, "octa.toml").expect("a configuration");
        // It is told once: by that.
        assert_eq!(strays(&config, [manifest].into_iter()), []);
        unconfined(manifest, &config.plugin(&manifest.name).containment)
    };
    let strict = "sandbox = { strict = true }";
    let problem = told(0, strict).expect("a problem");
    assert_eq!(problem.kind, "unsupported");
    assert_eq!(
        crate::manager::with_hint(&problem),
        "plugin `alpha` runs in the kernel's own process, where its `sandbox` is not enforced, \
         and `strict` is set there (hint: give it a process of its own: `placement = \"process\"` \
         in `[plugins.alpha]`)"
    );
    assert_eq!(told(0, &format!("{strict}\nplacement = \"process\"")), None);
    assert_eq!(told(0, "sandbox = { strict = true, off = true }"), None);
    assert_eq!(told(0, "sandbox = { strict = false }"), None);
    assert_eq!(told(1, strict), None);
    let hint = told(2, strict).and_then(|problem| problem.hint);
    let hint = hint.expect("a hint");
    assert_eq!(
        hint,
        "take it out of `[plugins.gamma]`: the plugin runs nowhere else"
    );
}

#[test]
fn a_queue_that_nobody_stands_in_is_told() {
    let hint = "(hint: say how many calls there may be at once: `concurrency` in `[capabilities.\"svc.who\"]`)";
    let told = |place: &str, key: &str| {
        format!(
            "octa.toml:{place}: `capabilities.\"svc.who\".{key}` has no effect without `concurrency`, as no call waits {hint}"
        )
    };
    let [queue, wait] = [told("2:9", "queue"), told("3:8", "wait")];
    let toml = "[capabilities.\"svc.who\"]\nqueue = 7\nwait = \"1s\"\n";
    check(toml, &[&queue, &wait]);
    check(&format!("{toml}concurrency = 1\n"), &[]);
}
