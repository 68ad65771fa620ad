//! What `[storage]` and `[state]` may say, and what is said of one that is wrong.

use std::io;

use super::*;
use crate::Config;
#[cfg(feature = "postgres")]
use crate::config::NoSecrets;
use crate::config::Secrets;

struct Fixed;

impl Secrets for Fixed {
    fn env(&self, name: &str) -> Option<String> {
        (name == "OCTA_PASSWORD").then(|| "hunter2".into())
    }

    fn file(&self, path: &str) -> io::Result<String> {
        match path {
            "/run/secrets/octa" => Ok("swordfish\n".into()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }
}

fn parse(text: &str) -> Config {
    Config::parse(text, "octa.toml").unwrap()
}

/// Checks the error, with its hint in a second line.
#[track_caller]
fn check(text: &str, expect: &str) {
    let error = Config::parse(text, "octa.toml").unwrap_err();
    let hint = error.hint().map(|hint| format!("\n{hint}"));
    let told = format!("{error}{}", hint.unwrap_or_default());
    assert_eq!(told, expect, "{text}");
}

#[test]
fn everything_is_read() {
    let config = parse(
        "[storage]\npath = \"home.db\"\nstandby = \"/mnt/spare/home.db\"\ncheck = false\n\
         quota = \"2 GiB\"\n[storage.quotas]\nhistory = \"10GiB\"\n\"devices.lamps\" = \"1MiB\"\n\
         [state]\nquota = \"64KiB\"",
    );
    let storage = &config.storage;
    assert_eq!(storage.path, Path::new("home.db"));
    let standby = storage.standby.as_deref();
    assert_eq!(standby, Some(Path::new("/mnt/spare/home.db")));
    assert!(!storage.check);
    let quota = |namespace| storage.quotas.of(namespace).map(|quota| quota.bytes);
    assert_eq!(quota("history"), Some(10 << 30));
    assert_eq!(quota("devices.lamps"), Some(1 << 20));
    assert_eq!(quota("devices"), Some(2 << 30));
    assert_eq!(config.state.quota.bytes, 64 << 10);
}

#[test]
fn what_is_left_out_has_its_default() {
    assert_eq!(parse("[storage]\n[state]"), Config::default());
    let storage = StorageConfig::default();
    assert_eq!(storage.adapter.name(), "sqlite");
    assert_eq!(storage.quotas.of("history"), Some(STORAGE_QUOTA));
    assert!(storage.check && storage.standby.is_none());
}

#[cfg(feature = "postgres")]
#[test]
fn a_server_has_an_address_and_a_password_that_is_never_shown() {
    let server = |password: &str| {
        let url = "url = \"postgres://octa@db.example:5433/home?sslmode=require\"";
        let storage = format!("[storage]\nadapter = \"postgres\"\n{url}\n{password}");
        parse(&storage).storage
    };
    assert_eq!(server("").password, None);
    for (password, expect) in [
        ("password = \"swordfish\"", "swordfish"),
        ("password = { env = \"OCTA_PASSWORD\" }", "hunter2"),
        ("password = { file = \"/run/secrets/octa\" }", "swordfish"),
    ] {
        let storage = server(password);
        let secret = storage.password.as_ref().expect("a password");
        assert_eq!(secret.read(&Fixed).unwrap(), expect);
        let shown = format!("{storage:?} {storage:#?}");
        assert!(!shown.contains(expect), "{shown}");
    }
}

#[cfg(feature = "postgres")]
#[test]
fn a_password_that_is_not_to_be_had_is_told() {
    let told = |password: &str| {
        let storage = format!(
            "[storage]\nadapter = \"postgres\"\nurl = \"postgres://h/d\"\npassword = {password}"
        );
        let secret = parse(&storage).storage.password.expect("a password");
        let error = secret.read(&NoSecrets).unwrap_err();
        format!("{error}\n{}", error.hint().unwrap_or_default())
    };
    assert_eq!(
        told("{ env = \"NOPE\" }"),
        "octa.toml:4:12: `storage.password` is to come from the environment variable `NOPE`, \
         which is not set\n\
         set `NOPE` in the environment that the kernel is started in"
    );
    assert_eq!(
        told("{ file = \"/nope\" }"),
        "octa.toml:4:12: `storage.password` is to come from the file `/nope`, which cannot be \
         read\n\
         write the secret into `/nope`, readable by the user who runs the kernel"
    );
}

#[cfg(feature = "postgres")]
#[test]
fn each_mistake_about_a_server_is_told() {
    for (rest, expect) in [
        (
            "",
            "octa.toml:2:11: `storage.url` is missing, expected an address such as \
             \"postgres://octa@localhost/octa\"",
        ),
        (
            "path = \"octa.db\"",
            "octa.toml:3:8: `storage.path` is given with the adapter `\"postgres\"`, expected it \
             with the adapter `\"sqlite\"` alone",
        ),
        (
            "url = \"localhost\"",
            "octa.toml:3:7: `storage.url` is `\"localhost\"`, expected an address such as \
             \"postgres://octa@localhost/octa\"",
        ),
        (
            "url = \"postgres://h\"\npassword = \"\"",
            "octa.toml:4:12: `storage.password` is empty, expected a text that is not empty, \
             `{ env = \"NAME\" }` or `{ file = \"/run/secrets/name\" }`",
        ),
        (
            "url = \"postgres://h\"\npassword = 1234",
            "octa.toml:4:12: `storage.password` is something else, expected a text that is not \
             empty, `{ env = \"NAME\" }` or `{ file = \"/run/secrets/name\" }`",
        ),
        (
            "url = \"postgres://h\"\npassword = { env = \"A\", file = \"b\" }",
            "octa.toml:4:12: `storage.password` is both `env` and `file`, expected one of them",
        ),
        (
            "url = \"postgres://h\"\npassword = { evn = \"A\" }",
            "octa.toml:4:14: `storage.password.evn` is an unknown key, expected `env` or `file`\n\
             did you mean `env`?",
        ),
    ] {
        check(
            &format!("[storage]\nadapter = \"postgres\"\n{rest}"),
            expect,
        );
    }
}

#[cfg(feature = "postgres")]
#[test]
fn an_address_with_a_password_is_refused_and_not_told() {
    for url in [
        "postgres://octa:hunter2@localhost/octa",
        "postgres://octa:hun/ter2@localhost/octa",
        "postgresql://localhost/octa?user=octa&password=hunter2",
        "host=localhost password=hunter2",
        "octa:hunter2@localhost",
    ] {
        check(
            &format!("[storage]\nadapter = \"postgres\"\nurl = \"{url}\""),
            "octa.toml:3:7: `storage.url` is an address with a password in it, expected one \
             without\n\
             leave it out there, and write `password = { file = \"/run/secrets/octa\" }`, \
             `{ env = \"NAME\" }` or the text itself beside it",
        );
    }
    for url in [
        "postgres://localhost:5432/octa",
        "postgres://octa@[::1]:1/d",
    ] {
        assert_eq!(has_password(url), url.contains("[::1]@"), "{url}");
    }
}

#[cfg(not(feature = "postgres"))]
#[test]
fn an_adapter_that_was_left_out_is_told() {
    check(
        "[storage]\nadapter = \"postgres\"",
        "octa.toml:2:11: `storage.adapter` is `\"postgres\"`, which this program was built \
         without, expected `\"sqlite\"` or `\"memory\"`\n\
         build it with the feature `postgres`",
    );
}

#[test]
fn an_adapter_that_is_none_is_told() {
    let known = match cfg!(feature = "postgres") {
        true => "`\"sqlite\"`, `\"memory\"` or `\"postgres\"`",
        false => "`\"sqlite\"` or `\"memory\"`",
    };
    check(
        "[storage]\nadapter = \"sqllite\"",
        &format!(
            "octa.toml:2:11: `storage.adapter` is `\"sqllite\"`, expected {known}\n\
             did you mean `sqlite`?"
        ),
    );
}

#[test]
fn each_mistake_about_a_file_is_told() {
    for (text, expect) in [
        (
            "[storage]\nadapter = \"memory\"\nstandby = \"b.db\"",
            "octa.toml:3:11: `storage.standby` is given with the adapter `\"memory\"`, expected \
             it with the adapter `\"sqlite\"` alone",
        ),
        (
            "[storage]\nurl = \"postgres://octa:hunter2@h\"",
            "octa.toml:2:7: `storage.url` is given with the adapter `\"sqlite\"`, expected it \
             with the adapter `\"postgres\"` alone",
        ),
        (
            "[storage]\npath = \"a.db\"\nstandby = \"a.db\"",
            "octa.toml:3:11: `storage.standby` is the file that `storage.path` names, expected \
             another one, best on another disk",
        ),
        (
            "[storage]\nstandyb = \"a.db\"",
            "octa.toml:2:1: `storage.standyb` is an unknown key, expected `adapter`, `path`, \
             `standby`, `check`, `url`, `password`, `quota` or `quotas`\n\
             did you mean `standby`?",
        ),
        (
            "[storage]\ncheck = \"yes\"",
            "octa.toml:2:9: `storage.check` is `\"yes\"`, expected `true` or `false`",
        ),
    ] {
        check(text, expect);
    }
}

#[test]
fn each_mistake_about_a_quota_is_told() {
    let amount = "expected an amount such as \"0\", \"64KiB\", \"512MiB\" or \"2GiB\"";
    for (text, expect) in [
        (
            "[storage]\nquota = \"64\"",
            format!("octa.toml:2:9: `storage.quota` is `\"64\"` without a unit, {amount}"),
        ),
        (
            "[state]\nquota = \"64 MB\"",
            format!(
                "octa.toml:2:9: `state.quota` is `\"64 MB\"` with an unknown unit, {amount}\n\
                 did you mean `MiB`?"
            ),
        ),
        (
            "[state]\nquota = \"0\"",
            "octa.toml:2:9: `state.quota` is `\"0\"`, expected an amount above zero such as \
             \"512MiB\""
                .to_owned(),
        ),
        (
            "[storage]\nquota = \"9000000TiB\"",
            format!(
                "octa.toml:2:9: `storage.quota` is `\"9000000TiB\"`, which is beyond 8191 PiB, \
                 {amount}"
            ),
        ),
        (
            "[storage]\nquota = 64",
            format!("octa.toml:2:9: `storage.quota` is `64`, {amount}"),
        ),
        (
            "[storage.quotas]\n\"a..b\" = \"1MiB\"",
            "octa.toml:2:1: `storage.quotas.\"a..b\"`: namespace `a..b` has an empty segment at \
             position 3\na name is segments of letters, digits, `_` and `-` with dots between, \
             such as `device.state_changed`"
                .to_owned(),
        ),
        (
            "[storage.quotas]\n\"kernel.outbox\" = \"1MiB\"",
            "octa.toml:2:19: `storage.quotas.\"kernel.outbox\"` is given for a namespace of the \
             kernel's own, expected none: a journal and its events that wait have that of its namespace, the others have \
             no bound"
                .to_owned(),
        ),
    ] {
        check(text, &expect);
    }
}
