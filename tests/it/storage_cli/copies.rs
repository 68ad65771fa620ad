//! Backups, their way back, and moves from one storage to another.

use octa_kernel::storage::{Memory, copy};
use tokio::sync::Notify;

use super::{values::check_refusals, *};

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
        home.check(&["list", "history", "--prefix", "later", "--json"], 0, "");
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

/// Leaves what a copy does that is ended when its first page has come.
async fn fill_in_part(path: &Path) {
    let from = Memory::new();
    for first in (0..3_000).step_by(1_000) {
        let mut batch = Batch::new();
        for at in first..first + 1_000 {
            let put = batch.put("history", &format!("k/{at:05}"), Expect::Any, &b"1"[..]);
            put.expect("a valid write");
        }
        from.apply(batch).await.expect("it is written");
    }
    let sqlite = Sqlite::open(path).expect("a database");
    let some = Notify::new();
    let copying = copy(&from, &sqlite, |at| match at.done {
        0 => {}
        _ => some.notify_one(),
    });
    tokio::select! {
        biased;
        () = some.notified() => {}
        copied = copying => panic!("it is not done yet: {copied:?}"),
    }
    sqlite.close().await.expect("it closes");
}

#[test]
fn a_part_of_a_storage_is_not_started_on_and_filled_again() {
    run(async {
        let home = Home::with(&[]);
        let full = home.root().join("full.db");
        fill(&full, "history", 100).await;
        fs::create_dir_all(home.data()).expect("a directory");
        fill_in_part(&database(&home)).await;
        let (plugins, data) = (text(&home.plugins()), text(&home.data()));
        let start = || octa(&home, &["run", "--plugins", &plugins, "--data", &data]);
        let refused = start();
        assert_eq!(refused.code, 1, "{refused:?}");
        let told = "storage `HOME/data/octa.db` holds only a part: what was to fill it did not end\n\
                    hint: do it again: `octa storage migrate`, or `octa storage restore BACKUP --force`\n";
        assert!(refused.stderr.ends_with(told), "{refused:?}");
        let backup = text(&home.root().join("part.bak"));
        let refused = home.octa(&["backup", &backup]);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.stderr.contains("holds only a part"), "{refused:?}");
        let from = format!("sqlite:{}", text(&full));
        let copied = home.answer(&["migrate", "--from", &from]);
        assert_eq!(copied["records"], 100);
        let stats = home.answer(&["stats"]);
        assert_eq!(stats["records"], 100, "{stats}");
        Serving::begin(home).await.interrupt();
    });
}
