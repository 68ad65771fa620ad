//! What `octa storage` does, with a kernel running and with none.

use std::{fs, path::Path, process::Command};

use octa_kernel::storage::{Batch, Expect, Sqlite, StorageAdapter as _};
use serde_json::{Value, json};

use crate::{
    fixtures,
    home::{Home, run},
    program::{Outcome, Serving, command, octa},
};

/// A storage as the program reaches it.
trait Reached {
    fn home(&self) -> &Home;

    /// What is typed to name it.
    fn named(&self) -> Vec<String> {
        Vec::new()
    }

    fn octa(&self, arguments: &[&str]) -> Outcome {
        let named = self.named();
        let named = named.iter().map(String::as_str);
        let all = ["storage"].into_iter().chain(arguments.iter().copied());
        let all: Vec<&str> = all.chain(named).collect();
        octa(self.home(), &all)
    }

    /// Checks a command: how it ends, and what it prints or tells.
    #[track_caller]
    fn check(&self, arguments: &[&str], code: i32, expect: &str) {
        let Outcome {
            code: found,
            stdout,
            stderr,
        } = self.octa(arguments);
        assert_eq!(
            (found, format!("{stdout}{stderr}").as_str()),
            (code, expect),
            "octa storage {arguments:?}"
        );
    }

    /// The data of an answer in JSON.
    #[track_caller]
    fn answer(&self, arguments: &[&str]) -> Value {
        let done = self.octa(&[arguments, &["--json"]].concat());
        let answer: Value = serde_json::from_str(&done.stdout).expect("an envelope");
        assert!(answer["ok"] == true, "{answer}");
        answer["data"].clone()
    }
}

impl Reached for Serving {
    fn home(&self) -> &Home {
        &self.home
    }
}

/// By this program, from its data directory.
impl Reached for Home {
    fn home(&self) -> &Home {
        self
    }

    fn named(&self) -> Vec<String> {
        vec!["--data".to_owned(), self.data().display().to_string()]
    }
}

/// Makes a database with so many records of one namespace, written ten at a time.
async fn fill(path: &Path, namespace: &str, records: usize) {
    let sqlite = Sqlite::open(path).expect("a database");
    for first in (0..records).step_by(10) {
        let mut batch = Batch::new();
        for at in first..records.min(first + 10) {
            let (key, value) = (format!("k/{at:05}"), format!("{{\"at\":{at}}}"));
            let put = batch.put(namespace, &key, Expect::Any, value.into_bytes());
            put.expect("a valid write");
        }
        sqlite.apply(batch).await.expect("it is written");
    }
    sqlite.close().await.expect("it closes");
}

fn database(home: &Home) -> std::path::PathBuf {
    home.data().join("octa.db")
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The same with the configuration that names the storage.
fn with<'a>(action: &[&'a str], config: &'a str) -> Vec<&'a str> {
    let named = ["--config", config];
    action.iter().copied().chain(named).collect()
}

/// Everything that is done to values, by whoever does it.
#[track_caller]
fn check_values(on: &impl Reached) {
    let absent = "error: there is no record `lamps/lamp_1`\n\
                  hint: `octa storage list lamps` shows those there are\n";
    on.check(&["get", "lamps", "lamp_1"], 3, absent);
    let value = r#"{"on": true, "level": 1.50}"#;
    let set = on.octa(&["set", "lamps", "lamp_1", value, "--expect", "absent"]);
    assert_eq!((set.code, set.stderr.as_str()), (0, ""));
    on.check(&["get", "lamps", "lamp_1"], 0, &format!("{value}\n"));
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
    on.check(&["list", "lamps", "--prefix", "b"], 0, "");
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
fn check_refusals(on: &impl Reached) {
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
    on.check(&["list", "kernel.outbox"], 0, "");
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
                   hint: name its data directory with `--data DIR`, and its configuration, if it \
                   has one, with `--config FILE`\n";
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

#[test]
fn a_backup_is_made_while_the_kernel_works_and_brought_back() {
    run(async {
        let home = Home::with(&[]);
        fill(&database(&home), "history", 1_500).await;
        let serving = Serving::begin(home).await;
        let file = serving.home.root().join("home.bak");
        let backup = ["backup", &text(&file)];
        let made = serving.octa(&backup);
        assert_eq!((made.code, made.stderr.as_str()), (0, ""));
        let begins = "backed up into `HOME/home.bak`: 1500 records, ";
        assert!(made.stdout.starts_with(begins), "{}", made.stdout);
        serving.check(
            &backup,
            1,
            "error: `HOME/home.bak` is there already, expected a new file\n\
             hint: name another file, or replace it with `--force`\n",
        );
        let again = serving.answer(&[&backup[..], &["--force"]].concat());
        assert_eq!(again["records"], 1_500);
        let nowhere = text(&serving.home.root().join("nowhere/home.bak"));
        serving.check(
            &["backup", &nowhere],
            1,
            "error: cannot write to the directory `HOME/nowhere`: No such file or directory (os error 2)\n\
             hint: check the name, or make `HOME/nowhere` first\n",
        );
        let refused = serving.octa(&["restore", &text(&file)]);
        assert_eq!(refused.code, 3, "{refused:?}");
        assert!(
            refused
                .stderr
                .contains("is running on the storage in `HOME/data`"),
            "{refused:?}"
        );
        assert_eq!(serving.octa(&["set", "history", "later", "1"]).code, 0);
        let home = serving.end();
        home.check(
            &["restore", &text(&file)],
            1,
            "error: `HOME/data/octa.db` is not empty (records: 1501), expected an empty \
             storage to restore into\n\
             hint: `--force` keeps what is there aside under another name\n",
        );
        let restored = home.answer(&["restore", &text(&file), "--force"]);
        assert_eq!(restored["digest"], again["digest"]);
        assert_eq!(restored["aside"], json!(["HOME/data/octa.db.replaced-1"]));
        home.check(&["list", "history", "--prefix", "later"], 0, "");
        let serving = Serving::begin(home).await;
        assert_eq!(serving.answer(&["stats"])["records"], 1_500);
        serving.interrupt();
    });
}

#[test]
fn what_is_no_backup_changes_nothing() {
    run(async {
        let home = Home::empty();
        fill(&home.root().join("full.db"), "history", 100).await;
        let at = |name: &str| text(&home.root().join(name));
        let made = home.answer(&["migrate", "--from", &format!("sqlite:{}", at("full.db"))]);
        assert_eq!(made["records"], 100);
        let before = fs::read(database(&home)).expect("a file");
        let sound = fs::read(home.root().join("full.db")).expect("a file");
        let mut newer = sound.clone();
        // `user_version`, as SQLite's file format has it.
        newer[60..64].copy_from_slice(&[0, 0, 0, 99]);
        fs::write(at("newer"), newer).expect("a file");
        fs::write(at("cut"), &sound[..sound.len() / 2]).expect("a file");
        fs::write(at("text"), "no database").expect("a file");
        for (name, code, begins) in [
            (
                "text",
                3,
                "error: `HOME/text` is no backup that can be restored: storage `HOME/text` is \
                 not an SQLite database\nhint: name a file that `octa storage backup` made\n",
            ),
            (
                "cut",
                3,
                "error: `HOME/cut` is no backup that can be restored: storage `HOME/cut` is \
                 damaged: ",
            ),
            (
                "newer",
                3,
                "error: `HOME/newer` is no backup that can be restored: storage `HOME/newer` has \
                 format 99, this kernel reads formats up to ",
            ),
            (
                "nowhere",
                1,
                "error: cannot read `HOME/nowhere`: No such file or directory",
            ),
            (
                "plugins",
                3,
                "error: `HOME/plugins` is no file, expected the name of one\n",
            ),
        ] {
            let refused = home.octa(&["restore", &at(name), "--force"]);
            assert_eq!(
                (refused.code, refused.stdout.as_str()),
                (code, ""),
                "{name}"
            );
            assert!(refused.stderr.starts_with(begins), "{}", refused.stderr);
            assert!(refused.stderr.contains("\nhint: "), "{}", refused.stderr);
        }
        assert_eq!(fs::read(database(&home)).expect("a file"), before);
        let left: Vec<_> = fs::read_dir(home.data()).expect("a directory").collect();
        assert_eq!(left.len(), 1, "the database alone: {left:?}");
    });
}

#[test]
fn a_full_disk_gets_no_half_a_backup() {
    run(async {
        let home = Home::empty();
        fill(&database(&home), "history", 5_000).await;
        let backup = home.root().join("home.bak");
        // No file may be longer than this many blocks: it is as if the disk were full.
        let script = "trap '' XFSZ; ulimit -f 128; exec \"$@\"";
        let mut limited = Command::new("sh");
        limited.args(["-c", script, "sh"]).arg(fixtures::octa());
        limited.args(["storage", "backup", &text(&backup)]);
        limited.args(["--data", &text(&home.data())]);
        limited.env_clear().env("XDG_RUNTIME_DIR", home.root());
        let outcome = limited.output().expect("it runs");
        let told = home.anonymous(&String::from_utf8_lossy(&outcome.stderr));
        assert_eq!(outcome.status.code(), Some(1), "{told}");
        assert!(
            told.starts_with("error: cannot back up into `HOME/home.bak`: "),
            "{told}"
        );
        assert!(told.contains("no space is left"), "{told}");
        assert!(
            told.ends_with("\nhint: free some space on the disk that holds `HOME/home.bak`\n"),
            "{told}"
        );
        let names = fs::read_dir(home.root()).expect("a directory");
        let names = names.map(|entry| entry.expect("an entry").file_name());
        let hidden = names.filter(|name| name.to_string_lossy().starts_with(".octa"));
        assert_eq!(hidden.count(), 0);
        assert!(!backup.exists());
    });
}

#[test]
fn everything_moves_from_one_file_to_another() {
    run(async {
        let home = Home::empty();
        fill(&database(&home), "history", 1_234).await;
        let to = format!("sqlite:{}", text(&home.root().join("new.db")));
        let moved = home.octa(&["migrate", "--to", &to]);
        assert_eq!((moved.code, moved.stderr.as_str()), (0, ""));
        let begins = "copied into `HOME/new.db`: 1234 records, ";
        assert!(moved.stdout.starts_with(begins), "{}", moved.stdout);
        home.check(
            &["migrate", "--to", &to],
            1,
            "error: cannot copy `HOME/data/octa.db` into `HOME/new.db`: the database to copy into \
             is not empty (records: 1234)\n\
             hint: copy into a new database\n",
        );
        let own = format!("sqlite:{}", text(&database(&home)));
        home.check(
            &["migrate", "--to", &own],
            3,
            "error: `HOME/data/octa.db` is both what is copied and where it is copied to, \
             expected two\n\
             hint: name another with `--to` or `--from`\n",
        );
        home.check(
            &["migrate", "--to", "/data/new.db"],
            3,
            &format!(
                "error: `/data/new.db` names no storage, expected {}\n\
                 hint: a file is named as in `sqlite:/data/new.db`\n",
                "`sqlite:PATH` or `postgres://USER@HOST/DATABASE`"
            ),
        );
        let secret = home.octa(&["migrate", "--to", "postgres://octa:hunter2@h/d"]);
        assert_eq!(secret.code, 3, "{secret:?}");
        assert!(!secret.stderr.contains("hunter2"), "{secret:?}");
        let missing = format!("sqlite:{}", text(&home.root().join("none.db")));
        let refused = home.octa(&["migrate", "--from", &missing]);
        assert_eq!(refused.code, 3, "{refused:?}");
        let open = Sqlite::open(home.root().join("new.db")).expect("it opens");
        let refused = home.octa(&["migrate", "--to", &to]);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(
            refused.stderr.contains("is in use by another kernel"),
            "{refused:?}"
        );
        open.close().await.expect("it closes");
    });
}

#[test]
fn everything_moves_to_a_server_and_back() {
    let Some(server) = octa_test_servers::postgres() else {
        return;
    };
    run(async {
        let database = server.database("moves");
        let (server, home) = (database.url(), Home::with(&[]));
        fill(&self::database(&home), "history", 1_234).await;
        let moved = home.answer(&["migrate", "--to", &server]);
        assert_eq!(
            [&moved["records"], &moved["path"]],
            [&json!(1_234), &json!(server)]
        );
        home.check(
            &["migrate", "--to", &server],
            1,
            &format!(
                "error: cannot copy `HOME/data/octa.db` into `{server}`: the database to copy \
                 into is not empty (records: 1234)\nhint: copy into a new database\n"
            ),
        );
        let config = home.root().join("server.toml");
        let toml = format!("[storage]\nadapter = \"postgres\"\nurl = \"{server}\"\n");
        fs::write(&config, &toml).expect("a file");
        let config = text(&config);

        let backup = text(&home.root().join("server.bak"));
        let backed_up = home.answer(&with(&["backup", &backup], &config));
        assert_eq!(backed_up["digest"], moved["digest"]);
        let set = home.answer(&with(&["set", "lamps", "k", "1"], &config));
        assert!(
            set["version"].as_u64() > moved["last_version"].as_u64(),
            "{set}"
        );
        let stats = home.answer(&with(&["stats"], &config));
        assert_eq!(
            [&stats["place"], &stats["records"]],
            [&json!(server), &json!(1_235)]
        );
        let back = format!("sqlite:{}", text(&home.root().join("back.db")));
        let back = home.answer(&with(&["migrate", "--to", &back], &config));
        assert_eq!(back["records"], 1_235);

        let refused = home.octa(&with(&["restore", &backup], &config));
        assert_eq!(refused.code, 1, "{refused:?}");
        let restored = home.answer(&with(&["restore", &backup, "--force"], &config));
        assert_eq!(restored["digest"], moved["digest"]);
        assert_eq!(restored["aside"], json!(["HOME/data/octa.db.replaced-1"]));
        let aside = format!("sqlite:{}", text(&home.data().join("octa.db.replaced-1")));
        let again = format!("sqlite:{}", text(&home.root().join("again.db")));
        let again = home.answer(&["migrate", "--from", &aside, "--to", &again]);
        assert_eq!(again["digest"], back["digest"]);

        // With a kernel that runs on it.
        let serving = Serving::begin(home.config(&toml)).await;
        check_refusals(&serving);
        serving.check(&["get", "history", "k/00007"], 0, "{\"at\":7}\n");
        let backup = text(&serving.home.root().join("again.bak"));
        let backed_up = serving.answer(&["backup", &backup]);
        assert_eq!(backed_up["digest"], moved["digest"]);
        serving.interrupt();
    });
}

#[test]
fn a_wrong_password_is_told_and_not_shown() {
    let Some(server) = octa_test_servers::postgres() else {
        return;
    };
    let database = server.database("passwords");
    database.sql("CREATE ROLE moves_octa LOGIN PASSWORD 'hunter2'");
    let home = Home::empty();
    let url = database.url_for("moves_octa");
    let config = home.root().join("server.toml");
    for (password, expect) in [
        ("password = \"swordfish\"\n", "refuse"),
        (
            "password = { env = \"NOPE\" }\n",
            "environment variable `NOPE`, which is not set",
        ),
    ] {
        let toml = format!("[storage]\nadapter = \"postgres\"\nurl = \"{url}\"\n{password}");
        fs::write(&config, toml).expect("a file");
        let told = home.octa(&["stats", "--config", &text(&config)]);
        assert!(told.code != 0 && told.stdout.is_empty(), "{told:?}");
        assert!(told.stderr.contains(expect), "{told:?}");
        assert!(told.stderr.contains("\nhint: "), "{told:?}");
        assert!(!told.stderr.contains("swordfish"), "{told:?}");
    }
}

#[test]
fn a_storage_is_not_replaced_by_its_own_backup() {
    run(async {
        let home = Home::with(&[]);
        fill(&database(&home), "history", 10).await;
        let link = home.root().join("link.db");
        std::os::unix::fs::symlink(database(&home), &link).expect("a link");
        let check = |on: &dyn Fn(&[&str]) -> Outcome| {
            for path in [&database(&home), &home.data().join("octa.db-wal"), &link] {
                let refused = on(&["backup", "--force", &text(path)]);
                assert_eq!(refused.code, 3, "{refused:?}");
                let told = "belongs to the storage that is backed up, expected another file\n\
                            hint: name a file, such as `/mnt/backup/home.db`\n";
                assert!(refused.stderr.ends_with(told), "{refused:?}");
            }
        };
        check(&|arguments| Reached::octa(&home, arguments));
        assert_eq!(home.answer(&["stats"])["records"], 10);
    });
}

#[test]
fn a_storage_whose_standby_leads_gets_no_second_database() {
    run(async {
        let home = Home::empty();
        let (other, standby) = (home.root().join("other.db"), home.root().join("standby.db"));
        fill(&other, "history", 10).await;
        fill(&standby, "history", 20).await;
        let sqlite = Sqlite::open(&standby).expect("it opens");
        sqlite.raise_epoch().await.expect("it leads");
        sqlite.close().await.expect("it closes");
        let config = home.root().join("octa.toml");
        let toml = format!("[storage]\nstandby = \"{}\"\n", text(&standby));
        fs::write(&config, toml).expect("a file");
        let from = format!("sqlite:{}", text(&other));
        let refused = home.octa(&with(&["migrate", "--from", &from], &text(&config)));
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(
            refused.stderr.contains("is not empty (records: 20)"),
            "{refused:?}"
        );
        assert!(!database(&home).exists());
    });
}
