//! Values are read, written, listed and refused.

use super::*;

/// Everything that is done to values, by whoever does it.
#[track_caller]
fn check_values(on: &impl Reached) {
    let absent = "error: there is no record `lamps/lamp_1`\n\
                  hint: there is no record in `lamps`; \
                  `octa storage stats` shows the namespaces there are\n";
    on.check(&["get", "lamps", "lamp_1"], 3, absent);
    let value = r#"{"on": true, "level": 1.50}"#;
    let set = on.octa(&["set", "lamps", "lamp_1", value, "--expect", "absent"]);
    assert_eq!((set.code, set.stderr.as_str()), (0, ""));
    on.check(&["get", "lamps", "lamp_1"], 0, &format!("{value}\n"));
    let absent = "error: there is no record `lamps/lamp_2`\n\
                  hint: `octa storage list lamps` shows those there are\n";
    on.check(&["get", "lamps", "lamp_2"], 3, absent);
    let version = on.answer(&["get", "lamps", "lamp_1"])["version"].clone();
    on.check(
        &["get", "lamps", "lamp_1", "--with-version"],
        0,
        &format!("{{\"version\":{version},\"value\":{value}}}\n"),
    );
    on.check(
        &["set", "lamps", "lamp_1", "1", "--expect", "absent"],
        1,
        &format!(
            "error: `lamps/lamp_1` has version {version}, expected no record\n\
             hint: someone else wrote it: read the record again and decide on what it is now\n"
        ),
    );
    let next = version.as_u64().expect("a number") + 1;
    on.check(
        &[
            "set",
            "lamps",
            "lamp_1",
            "-2",
            "--expect",
            &version.to_string(),
        ],
        0,
        &format!("`lamps/lamp_1` has version {next}\n"),
    );
    let slashes = "a/../b %ä?";
    let set = on.answer(&["set", "lamps", slashes, "\"x\""]);
    assert_eq!(set["key"], slashes);
    on.check(
        &["list", "lamps"],
        0,
        &format!("{slashes}  {}  \"x\"\nlamp_1  {next}  -2\n", next + 1),
    );
    on.check(
        &["list", "lamps", "--prefix", "b"],
        0,
        "no record of `lamps` has a key that starts with `b`\n",
    );
    on.check(
        &["list", "lams"],
        0,
        "there is no record in `lams`; `octa storage stats` shows the namespaces there are\n",
    );
    on.check(&["list", "lams", "--json"], 0, "");
    on.check(
        &["list", "lamps", "--prefix", "lamp", "--json"],
        0,
        &format!(
            "{{\"namespace\":\"lamps\",\"key\":\"lamp_1\",\"version\":{next},\"value\":-2}}\n"
        ),
    );
    let stats = on.answer(&["stats"]);
    let namespaces = stats["namespaces"].as_array().expect("a list");
    let mut lamps = namespaces.iter().filter(|it| it["name"] == "lamps");
    let lamps = lamps.next().expect("it holds something");
    assert_eq!(
        [&lamps["name"], &lamps["records"], &lamps["quota"]],
        [&json!("lamps"), &json!(2), &json!(1 << 30)]
    );
    assert_eq!(stats["adapter"], "sqlite");
    assert_eq!(stats["place"], "HOME/data/octa.db");
    assert_eq!(stats["last_version"], next + 1);
    assert!(stats["file_bytes"].as_u64() > Some(0), "{stats}");
    on.check(
        &["delete", "lamps", slashes],
        0,
        &format!("`lamps/{slashes}` is deleted\n"),
    );
    on.check(
        &["delete", "lamps", slashes],
        0,
        &format!("there was no `lamps/{slashes}`\n"),
    );
    on.check(
        &["delete", "lamps", "lamp_1"],
        0,
        "`lamps/lamp_1` is deleted\n",
    );
}

/// Everything that is refused, by whoever refuses it.
#[track_caller]
pub(super) fn check_refusals(on: &impl Reached) {
    let long = "x".repeat(513);
    let shown = format!("{}…", "x".repeat(64));
    for (arguments, code, expect) in [
        (
            ["get", "a..b", "k"].as_slice(),
            3,
            "error: namespace `a..b` has an empty segment at position 3\n\
             hint: a name is segments of letters, digits, `_` and `-` with dots between, such as \
             `device.state_changed`\n",
        ),
        (
            &["get", "lamps", ""],
            3,
            "error: a key in namespace `lamps` is empty, expected 1 to 512 bytes\n",
        ),
        (
            &["delete", "lamps", &long],
            3,
            &format!(
                "error: key `{shown}` in namespace `lamps` has 513 bytes, expected 1 to 512\n\
                 hint: split it over several keys\n"
            ),
        ),
        (
            &["get", "lamps", "a\nb"],
            3,
            "error: key `a\\nb` in namespace `lamps` has the control character `\\n` at byte 1\n",
        ),
        (
            &["set", "lamps", "lamp_1", "on"],
            3,
            "error: `on` is no JSON\n\
             caused by: expected value at line 1 column 1\n\
             hint: try `octa storage set lamps lamp_1 '\"on\"'`: a text has its own quotes, \
             inside those of the shell\n",
        ),
        (
            &["set", "kernel.outbox", "k", "1"],
            3,
            "error: namespace `kernel.outbox` is the kernel's own, and only the kernel writes \
             there\n\
             hint: `--force` does it all the same\n",
        ),
        (
            &["delete", "kernel.outbox", "k"],
            3,
            "error: namespace `kernel.outbox` is the kernel's own, and only the kernel writes \
             there\n\
             hint: `--force` does it all the same\n",
        ),
    ] {
        on.check(arguments, code, expect);
    }
    on.check(
        &["delete", "kernel.outbox", "k", "--force"],
        0,
        "there was no `kernel.outbox/k`\n",
    );
    on.check(&["list", "kernel.outbox", "--json"], 0, "");
    let error = on.octa(&["get", "lamps", "none", "--json"]);
    let answer: Value = serde_json::from_str(&error.stdout).expect("an envelope");
    assert_eq!((error.code, error.stderr.as_str()), (3, ""));
    assert_eq!(answer["error"]["kind"], "not-found");
}

#[test]
fn values_are_read_and_written_with_a_kernel_and_without() {
    run(async {
        let serving = Serving::begin(Home::with(&[])).await;
        check_values(&serving);
        check_refusals(&serving);
        // Named by its data directory, it is the same kernel that is asked.
        let named = serving.home.data().display().to_string();
        let set = serving.octa(&["set", "lamps", "k", "1", "--data", &named]);
        assert!(set.stdout.starts_with("`lamps/k` has version "), "{set:?}");
        let home = serving.kill();
        home.check(&["get", "lamps", "k"], 0, "1\n");
        home.check(&["delete", "lamps", "k"], 0, "`lamps/k` is deleted\n");
        check_values(&home);
        check_refusals(&home);
    });
}

#[test]
fn a_value_can_come_from_standard_input() {
    run(async {
        let home = Home::empty();
        fill(&database(&home), "lamps", 1).await;
        let data = text(&home.data());
        let mut set = command(
            &home,
            &["storage", "set", "lamps", "k", "-", "--data", &data],
        );
        let value = home.root().join("value");
        for (value_text, code) in [("{\"on\":\ntrue}\n", 0), ("{\"on\":", 3)] {
            fs::write(&value, value_text).expect("a file");
            set.stdin(fs::File::open(&value).expect("a file"));
            assert_eq!(set.output().expect("it runs").status.code(), Some(code));
        }
        home.check(&["get", "lamps", "k"], 0, "{\"on\":\ntrue}\n");
        home.check(
            &["list", "lamps", "--prefix", "k", "--limit", "1"],
            0,
            "k  2  {\"on\": true}\n",
        );
    });
}

#[test]
fn lists_go_on_behind_a_page() {
    run(async {
        let home = Home::with(&[]);
        fill(&database(&home), "history", 2_345).await;
        let check = |on: &dyn Fn(&[&str]) -> Outcome| {
            let keys = |arguments: &[&str]| {
                let listed = on(arguments);
                assert_eq!((listed.code, listed.stderr.as_str()), (0, ""));
                let first = |line: &str| line.split("  ").next().map(str::to_owned);
                let keys: Vec<_> = listed.stdout.lines().filter_map(first).collect();
                keys
            };
            let all: Vec<_> = (0..2_345).map(|at| format!("k/{at:05}")).collect();
            assert_eq!(keys(&["list", "history"]), all);
            assert_eq!(keys(&["list", "history", "--limit", "1001"]), all[..1_001]);
            assert_eq!(keys(&["list", "history", "--prefix", "k/00"]), all[..1_000]);
            assert_eq!(keys(&["list", "history", "--limit", "0"]), [""; 0]);
            let lines = on(&["list", "history", "--json"]).stdout;
            assert_eq!(lines.lines().count(), 2_345);
        };
        check(&|arguments| home.octa(arguments));
        let serving = Serving::begin(home).await;
        check(&|arguments| serving.octa(arguments));
        serving.interrupt();
    });
}

#[test]
fn what_is_not_there_is_not_made() {
    let home = Home::empty();
    let missing = "error: no kernel is running, and there is no database `HOME/data/octa.db`\n\
                   hint: `octa run --plugins DIR` makes one; if yours lies elsewhere, name it with \
                   `--data DIR` or `--config FILE`\n";
    for action in [
        &["stats"][..],
        &["set", "a", "k", "1"],
        &["backup", "b.db"],
        &["migrate", "--to", "sqlite:c.db"],
    ] {
        home.check(action, 3, missing);
    }
    assert!(!home.data().exists());
    let config = home.root().join("octa.toml");
    fs::write(&config, "[storage]\nadapter = \"memory\"\n").expect("a file");
    home.check(
        &["stats", "--config", &text(&config)],
        4,
        "error: no kernel is running, and a storage in memory ends with its kernel\n\
         hint: start one with `octa run --plugins DIR`\n",
    );
    fs::write(&config, "[storage]\nadaptor = \"memory\"\n").expect("a file");
    home.check(
        &["stats", "--config", &text(&config)],
        3,
        "error: HOME/octa.toml:2:1: `storage.adaptor` is an unknown key, expected `adapter`, \
         `path`, `standby`, `check`, `url`, `password`, `quota` or `quotas`\n\
         hint: did you mean `adapter`?\n",
    );
    let named = octa(&home, &["storage", "stats", "--kernel", "nobody"]);
    assert_eq!(named.code, 4, "{named:?}");
}
