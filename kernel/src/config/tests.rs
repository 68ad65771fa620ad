//! What a configuration may say, and what is said of one that is wrong.

use std::io;

use octa_loader::policy::{Breaker, Remember, Retry, Switch};
use serde_json::{Value, json};

use super::*;

const FULL: &str = r#"
[kernel]
start_deadline = "250ms"
stop_deadline = "2m"
probation = "1s"
watch = false
removed = "keep"
kept_generations = 3
stuck_after = "5s"
worker = "/usr/libexec/octa-worker"
vet = true
measure = true

[storage]
adapter = "memory"

[plugins.automation]
enabled = false

[plugins.automation.allow]
call = ["devices.**"]
provide = ["LOAD_CONFIG"]

[plugins.automation.config]
night = "22:00"
ratio = 0.5
mask = 0x1f
at = 2026-01-02
token = { env = "OCTA_TOKEN" }
rules = [{ topic = "a", key = { file = "/run/key" } }]

[plugins.devices]
"#;

struct Fixed;

impl Secrets for Fixed {
    fn env(&self, name: &str) -> Option<String> {
        (name == "OCTA_TOKEN").then(|| "hunter2".into())
    }

    fn file(&self, path: &str) -> io::Result<String> {
        match path {
            "/run/key" => Ok("swordfish\r\n".into()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }
}

/// The error with its hint in a second line.
fn error(text: &str) -> String {
    let error = Config::parse(text, "octa.toml").unwrap_err();
    error
        .hint()
        .map_or(error.to_string(), |hint| format!("{error}\n{hint}"))
}

fn settle(config: &str, schema: Option<&Value>) -> Result<Settings, SettingsError> {
    let text = format!("[plugins.lamp.config]\n{config}");
    Config::parse(&text, "octa.toml")
        .unwrap()
        .plugin("lamp")
        .config
        .settle("lamp", schema, &Fixed)
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = Config::parse("", "octa.toml").unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.plugin("any"), PluginConfig::default());
    assert!(config.plugin("any").enabled);
    assert_eq!(config.kernel.call_deadline, Duration::from_secs(30));
    assert_eq!(config.storage.path, PathBuf::from("octa.db"));
}

#[test]
fn everything_is_read() {
    let config = Config::parse(FULL, "octa.toml").unwrap();
    assert_eq!(config.kernel.start_deadline, Duration::from_millis(250));
    assert_eq!(config.kernel.stop_deadline, Duration::from_secs(120));
    assert_eq!(config.kernel.probation, Duration::from_secs(1));
    assert!(!config.kernel.watch);
    assert_eq!(config.kernel.removed, Removed::Keep);
    assert_eq!(config.kernel.kept_generations, 3);
    assert_eq!(config.kernel.stuck_after, Duration::from_secs(5));
    let worker = config.kernel.worker.as_deref();
    assert_eq!(worker, Some("/usr/libexec/octa-worker".as_ref()));
    assert!(config.kernel.vet);
    assert!(config.kernel.measure);
    let measured = Config::parse("[kernel]\nmeasure = true", "octa.toml").unwrap();
    assert!(measured.kernel.measure && !measured.kernel.vet);
    assert_eq!(config.storage.adapter, StorageKind::Memory);
    let automation = config.plugin("automation");
    assert!(!automation.enabled);
    assert_eq!(automation.allow.call, ["devices.**".parse().unwrap()]);
    assert_eq!(automation.allow.provide, ["LOAD_CONFIG".parse().unwrap()]);
    let schema = json!({"type": "object"});
    let settings = automation
        .config
        .settle("automation", Some(&schema), &Fixed)
        .unwrap();
    let expected = json!({
        "night": "22:00",
        "ratio": 0.5,
        "mask": 31,
        "at": "2026-01-02",
        "token": "hunter2",
        "rules": [{"topic": "a", "key": "swordfish"}],
    });
    assert_eq!(settings.expose(), &expected);
    assert!(config.plugin("devices").enabled);
}

#[test]
fn what_the_documentation_shows_is_understood() {
    let text = include_str!("../../../docs/configuration.md");
    let blocks: Vec<&str> = text
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    let all = Config::parse(&blocks.concat(), "octa.toml").unwrap();
    assert!(blocks.len() >= 3 && !all.pipelines.is_empty());
    // The defaults that it tells are those that hold.
    let policy = &all.capabilities["devices.turn_on"];
    let breaker = Breaker {
        slow: Some(Duration::from_millis(200)),
        ..Breaker::default()
    };
    assert_eq!(policy.breaker, Some(Switch::On(breaker)));
    assert_eq!(policy.retry, Some(Switch::On(Retry::default())));
    assert_eq!(policy.remember, Some(Remember::default()));
    let worker = all.kernel.worker.clone();
    assert_eq!(
        all.kernel,
        KernelConfig {
            worker,
            ..KernelConfig::default()
        }
    );
    assert_eq!(all.storage, StorageConfig::default());
}

#[test]
fn each_mistake_is_told_with_its_place() {
    for (text, expect) in [
        (
            "[kernel]\nstart_dedline = \"1s\"",
            "octa.toml:2:1: `kernel.start_dedline` is an unknown key, \
             expected `start_deadline`, `stop_deadline`, `call_deadline`, `probation`, `watch`, \
             `removed`, `kept_generations`, `stuck_after`, `worker`, `vet` or `measure`\n\
             did you mean `start_deadline`?",
        ),
        (
            "[plugin.a]",
            "octa.toml:1:2: `plugin` is an unknown key, expected `kernel`, `storage`, \
             `state`, `capabilities`, `pipelines` or `plugins`\n\
             did you mean `plugins`?",
        ),
        (
            "kernel = 5",
            "octa.toml:1:10: `kernel` is `5`, expected a table",
        ),
        (
            "[kernel]\nstop_deadline = \"0s\"",
            "octa.toml:2:17: `kernel.stop_deadline` is `\"0s\"`, expected a duration above zero \
             such as \"250ms\", \"10s\", \"2m\" or \"1h\"",
        ),
        (
            "[kernel]\nstop_deadline = 10",
            "octa.toml:2:17: `kernel.stop_deadline` is `10`, expected a duration above zero \
             such as \"250ms\", \"10s\", \"2m\" or \"1h\"",
        ),
        (
            "[storage]\npath = \"\"",
            "octa.toml:2:8: `storage.path` is `\"\"`, expected the path of a file",
        ),
        (
            "[plugins.a]\nenabled = \"yes\"",
            "octa.toml:2:11: `plugins.a.enabled` is `\"yes\"`, expected `true` or `false`",
        ),
        (
            "[plugins.a.allow]\ncall = \"b\"",
            "octa.toml:2:8: `plugins.a.allow.call` is `\"b\"`, \
             expected a list, each item a name or a pattern such as \"device.**\"",
        ),
        (
            "[plugins.a.allow]\ncall = [\n  \"b\",\n  \"**.c\"]",
            "octa.toml:4:3: `plugins.a.allow.call[1]`: pattern `**.c` has `**` at position 1, \
             expected it as the last segment only\n\
             a pattern is a name in which `*` stands for one segment and a last `**` for one or \
             more, such as `device.*.state` or `device.**`",
        ),
        (
            "[plugins.Lamp]",
            "octa.toml:1:10: `plugins.Lamp`: plugin name `Lamp` has `L` at position 1, \
             expected a lowercase letter\n\
             a plugin name is a lowercase letter, then lowercase letters, digits and `-`, \
             such as `living-room`",
        ),
        (
            "[plugins.a.config]\nx = nan",
            "octa.toml:2:5: `plugins.a.config.x` is `nan`, expected a finite number",
        ),
        (
            "[plugins.a.config]\nx = 9223372036854775808",
            "octa.toml:2:5: `plugins.a.config.x` is `9223372036854775808`, \
             expected an integer of 64 bits",
        ),
    ] {
        assert_eq!(error(text), expect, "{text}");
    }
}

#[test]
fn a_syntax_error_shows_its_place_and_not_the_text() {
    let told = error("[plugins.a.config]\npassword = \"hunter2\n");
    assert!(told.starts_with("octa.toml:2:"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    assert!(error("[kernel]\n[kernel]").starts_with("octa.toml:2:"));
}

#[test]
fn a_section_is_checked_where_it_is_written() {
    let schema = json!({
        "properties": {
            "night": {"type": "string"},
            "rules": {"items": {"properties": {"topic": {"type": "string"}}}},
            "token": {"type": "integer"},
        },
        "required": ["night"],
        "additionalProperties": false,
    });
    for (config, expect) in [
        (
            "night = 5",
            "octa.toml:2:9: `plugins.lamp.config.night` is `5`, expected a string",
        ),
        (
            "night = \"\"\nrules = [\n{},\n{ topic = 1 }]",
            "octa.toml:5:11: `plugins.lamp.config.rules[1].topic` is `1`, expected a string",
        ),
        (
            "rules = []",
            "octa.toml:1:1: `plugins.lamp.config.night` is missing, expected a string",
        ),
        (
            "token = { env = \"OCTA_TOKEN\" }",
            "octa.toml:2:9: `plugins.lamp.config.token` is `<secret>`, expected an integer",
        ),
    ] {
        assert_eq!(
            settle(config, Some(&schema)).unwrap_err().to_string(),
            expect
        );
    }
    let missing = PluginConfig::default()
        .config
        .settle("lamp", Some(&schema), &Fixed)
        .unwrap_err();
    assert_eq!(
        missing.to_string(),
        "`plugins.lamp.config.night` is missing, expected a string"
    );
    let none = settle("night = 5", None).unwrap_err();
    assert!(
        none.to_string()
            .ends_with("as the plugin takes no configuration"),
        "{none}"
    );
    assert!(settle("", None).is_ok());
}

#[test]
fn a_missing_secret_names_plugin_key_and_source() {
    let schema = json!({});
    let missing = settle("token = { env = \"NOPE\" }", Some(&schema)).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "octa.toml:2:9: plugin `lamp` wants `plugins.lamp.config.token` \
         from the environment variable `NOPE`, which is not set"
    );
    assert!(missing.hint().unwrap().contains("`NOPE`"));
    let unread = settle("a = [{ file = \"/nope\" }]", Some(&schema)).unwrap_err();
    assert_eq!(
        unread.to_string(),
        "octa.toml:2:6: plugin `lamp` wants `plugins.lamp.config.a[0]` \
         from the file `/nope`, which cannot be read"
    );
    let silent = Section::new(json!({"a": {"env": "A"}}).as_object().unwrap().clone());
    assert!(silent.settle("lamp", Some(&schema), &NoSecrets).is_err());
}

#[test]
fn secrets_are_never_printed() {
    let config = Config::parse(FULL, "octa.toml").unwrap();
    let section = config.plugin("automation").config;
    let settings = section
        .settle("automation", Some(&json!({})), &Fixed)
        .unwrap();
    let told = format!(
        "{settings} {settings:?} {settings:#?} {:?} {config:?}",
        settings.clone()
    );
    assert!(
        !told.contains("hunter2") && !told.contains("swordfish"),
        "{told}"
    );
    assert_eq!(settings.redacted()["token"], json!("<secret>"));
    assert_eq!(
        settings.redacted()["rules"][0],
        json!({"topic": "a", "key": "<secret>"})
    );
}

#[test]
fn only_a_table_of_one_text_below_the_top_is_a_secret() {
    let schema = json!({});
    for (config, expect) in [
        ("file = \"lamp.log\"", json!({"file": "lamp.log"})),
        ("a = { file = 5 }", json!({"a": {"file": 5}})),
        (
            "a = { file = \"x\", b = 1 }",
            json!({"a": {"file": "x", "b": 1}}),
        ),
    ] {
        assert_eq!(settle(config, Some(&schema)).unwrap().expose(), &expect);
    }
}
