//! The warm standby of the storage, as a user of the program has it: with kernels that are killed.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use octa_kernel::storage::{Batch, Change, Expect, Sqlite, StorageAdapter as _};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    home::{Home, run_within},
    program::{Outcome, Serving, octa},
};

/// Many kernels are started here, one after the other.
const PATIENCE: Duration = Duration::from_secs(240);
/// How often it is looked whether the moment has come.
const LOOK: Duration = Duration::from_millis(1);

/// A home whose storage has a standby in a directory of its own.
fn home() -> Home {
    let home = Home::with(&[]);
    fs::create_dir(disk(&home)).expect("a directory");
    let config = format!("[storage]\nstandby = {:?}\n", standby(&home));
    let home = home.config(&config);
    fs::write(home.root().join("octa.toml"), home.toml()).expect("a file");
    home
}

fn disk(home: &Home) -> PathBuf {
    home.root().join("disk")
}

fn standby(home: &Home) -> PathBuf {
    disk(home).join("standby.db")
}

fn primary(home: &Home) -> PathBuf {
    home.data().join("octa.db")
}

/// Runs `octa storage` where no kernel runs.
fn idle(home: &Home, arguments: &[&str]) -> Outcome {
    let config = home.root().join("octa.toml").display().to_string();
    let data = home.data().display().to_string();
    let place = ["--config", &config, "--data", &data];
    octa(home, &[&["storage"], arguments, &place].concat())
}

#[track_caller]
fn check(outcome: Outcome, code: i32, expect: &str) {
    let Outcome {
        code: found,
        stdout,
        stderr,
    } = outcome;
    assert_eq!(
        (found, format!("{stdout}{stderr}").as_str()),
        (code, expect)
    );
}

/// The text of the refusal to run.
async fn refused(home: Home) -> (String, Home) {
    let (code, home) = Serving::spawn(home).ended().await;
    assert_eq!(code, Some(1));
    let told = fs::read_to_string(home.root().join("stderr")).expect("a log");
    (home.anonymous(&told), home)
}

/// Writes through a kernel that runs; answers the version.
fn set(home: &Home, key: &str, value: u64) -> Option<u64> {
    let value = value.to_string();
    let set = octa(home, &["storage", "set", "load", key, &value, "--json"]);
    let answer: Value = serde_json::from_str(&set.stdout).ok()?;
    answer["data"]["version"].as_u64()
}

/// Waits until the standby has everything.
async fn follows(home: &Home) -> Value {
    loop {
        let stats = octa(home, &["storage", "stats", "--json"]);
        let answer: Value = serde_json::from_str(&stats.stdout).expect("an envelope");
        let standby = &answer["data"]["standby"];
        if standby["state"] == "following" && standby["behind"] == 0 {
            return answer["data"].clone();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// All records of a database, as a crash has left it, and its last version.
async fn records(of: &Path) -> (Vec<Change>, u64) {
    let place = tempfile::tempdir().expect("a directory");
    let copy = place.path().join("copy.db");
    for suffix in ["", "-wal"] {
        let beside = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        if beside(of).exists() {
            fs::copy(beside(of), beside(&copy)).expect("a copy");
        }
    }
    // It is looked through for damage.
    let database = Sqlite::open(copy).expect("it is whole");
    let mut snapshot = database.snapshot().await.expect("it is open");
    let mut records = Vec::new();
    loop {
        let page = snapshot.next().await.expect("it is open");
        if page.is_empty() {
            return (records, snapshot.last_version());
        }
        records.extend(page);
    }
}

/// Every change has taken a version, and none was changed again: a standby is as its primary once
/// was if it has all of them up to one.
async fn check_prefix(home: &Home) -> u64 {
    let (found, last) = records(&standby(home)).await;
    let versions: BTreeSet<u64> = found.iter().map(|record| record.version).collect();
    assert!(versions.into_iter().eq(1..=last), "up to {last}");
    let (all, _) = records(&primary(home)).await;
    for record in &found {
        assert!(all.contains(record), "{record:?} is not in the primary");
    }
    last
}

/// Puts much into the primary, so that the first copy takes its time.
async fn fill(home: &Home) {
    let database = Sqlite::open(primary(home)).expect("it opens");
    for page in 0..20 {
        let mut batch = Batch::new();
        for n in 0..500 {
            let value = format!("\"{}\"", "x".repeat(2_000)).into_bytes();
            let put = batch.put("full", &format!("{page}-{n}"), Expect::Absent, value);
            put.expect("a valid write");
        }
        database.apply(batch).await.expect("it is written");
    }
    database.close().await.expect("it closes");
}

/// Writes from several threads until `moment`, then kills the kernel; every key is written once.
fn kill_at(serving: Serving, next: &AtomicU64, moment: impl Fn(usize) -> bool) -> Home {
    thread::scope(|scope| {
        let (wrote, acknowledged) = mpsc::channel();
        for _ in 0..3 {
            let (wrote, home) = (wrote.clone(), &serving.home);
            scope.spawn(move || {
                // Until the kernel is gone.
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let version = set(home, &format!("{number:08}"), number);
                    if version
                        .and_then(|version| wrote.send(version).ok())
                        .is_none()
                    {
                        return;
                    }
                }
            });
        }
        let mut written = 0;
        while !moment(written) {
            written += usize::from(acknowledged.recv_timeout(LOOK).is_ok());
        }
        serving.send(Signal::KILL);
    });
    serving.kill()
}

#[test]
fn whenever_the_kernel_is_killed_the_standby_is_whole() {
    run_within(PATIENCE, async {
        let mut home = home();
        fs::create_dir(home.data()).expect("a directory");
        fill(&home).await;
        let next = AtomicU64::new(0);
        let length = |path: &Path| fs::metadata(path).map_or(0, |it| it.len());
        let whole = length(&primary(&home));
        // During the first copy, which begins anew until it is whole once.
        let [copying, copied] = [disk(&home).join("standby.db.copying"), standby(&home)];
        for part in 0..6 {
            let is_far = || length(&copying) >= (whole * part / 6).max(1) || copied.exists();
            home = kill_at(Serving::begin(home).await, &next, |_| is_far());
            if copied.exists() {
                check_prefix(&home).await;
            }
        }
        // While it follows.
        let mut reached = 0;
        for most in [1, 5, 20, 40, 80] {
            let serving = Serving::begin(home).await;
            follows(&serving.home).await;
            home = kill_at(serving, &next, |written| written >= most);
            let last = check_prefix(&home).await;
            assert!(last > reached, "{last}, {reached} before");
            reached = last;
        }
        // In the end it has everything.
        let serving = Serving::begin(home).await;
        follows(&serving.home).await;
        let home = serving.end();
        check_prefix(&home).await;
        assert_eq!(
            records(&standby(&home)).await,
            records(&primary(&home)).await
        );
    });
}

#[test]
fn a_standby_takes_over_and_back() {
    run_within(PATIENCE, async {
        let serving = Serving::begin(home()).await;
        assert_eq!(set(&serving.home, "a", 1), Some(1));
        let stats = follows(&serving.home).await;
        assert_eq!(stats["standby"]["version"], 1);
        let shown = octa(&serving.home, &["storage", "stats"]).stdout;
        let expect =
            "\nstandby `HOME/disk/standby.db` follows; it has everything, up to version 1\n";
        assert!(shown.contains(expect), "{shown}");
        let lives = idle(&serving.home, &["takeover"]);
        assert_eq!(lives.code, 3, "{lives:?}");
        assert!(lives.stderr.contains("hint: stop it first"), "{lives:?}");

        let home = serving.kill();
        check(
            idle(&home, &["set", "load", "b", "2"]),
            0,
            "`load/b` has version 2\n",
        );
        let shown = idle(&home, &["stats"]).stdout;
        let expect = "rests, as no kernel runs; it has everything up to version 1, 1 change behind";
        assert!(shown.contains(expect), "{shown}");
        check(
            idle(&home, &["takeover"]),
            0,
            "`HOME/disk/standby.db` is the primary now, up to version 1\n\
             the last 1 change of the former primary is not in it\n\
             the former primary `HOME/data/octa.db` is kept as `HOME/data/octa.db.former-0`\n\
             `octa run` goes on with it, and makes a new standby in the place of the former primary\n",
        );
        check(
            idle(&home, &["takeover"]),
            0,
            "`HOME/disk/standby.db` is the primary already, up to version 1\n\
             `octa run` goes on with it, and makes a new standby in the place of the former primary\n",
        );
        assert!(home.data().join("octa.db.former-0").exists());

        let serving = Serving::begin(home).await;
        check(
            octa(&serving.home, &["storage", "get", "load", "a"]),
            0,
            "1\n",
        );
        assert_eq!(set(&serving.home, "c", 3), Some(2));
        let stats = follows(&serving.home).await;
        assert!(
            stats["place"]
                .as_str()
                .is_some_and(|it| it.ends_with("disk/standby.db")),
            "{stats}"
        );
        let home = serving.end();

        // And back, with nothing lost.
        check(
            idle(&home, &["takeover"]),
            0,
            "`HOME/data/octa.db` is the primary now, up to version 2\n\
             nothing is lost: it has everything that the former primary has\n\
             the former primary `HOME/disk/standby.db` is kept as `HOME/disk/standby.db.former-1`\n\
             `octa run` goes on with it, and makes a new standby in the place of the former primary\n",
        );
        let serving = Serving::begin(home).await;
        check(
            octa(&serving.home, &["storage", "get", "load", "c"]),
            0,
            "3\n",
        );
        follows(&serving.home).await;
        serving.end();
    });
}

#[test]
fn nothing_begins_empty_beside_a_standby() {
    run_within(PATIENCE, async {
        let serving = Serving::begin(home()).await;
        assert_eq!(set(&serving.home, "a", 1), Some(1));
        follows(&serving.home).await;
        let home = serving.end();

        // The primary is gone with its disk.
        fs::remove_dir_all(home.data()).expect("it is there");
        let (told, home) = refused(home).await;
        let expect = "error: storage `HOME/data/octa.db` is not there, expected the primary of the \
                      standby `HOME/disk/standby.db`\n\
                      hint: bring `HOME/data/octa.db` back, or go on with the standby: \
                      `octa storage takeover`\n";
        assert!(told.ends_with(expect), "{told}");
        fs::remove_dir_all(home.data()).expect("the directory was made for the kernel");

        let done = idle(&home, &["takeover"]);
        assert_eq!(done.code, 0, "{done:?}");
        assert!(
            done.stdout
                .contains("up to version 1\nit had everything at 20"),
            "{done:?}"
        );

        // Its own disk is not there now.
        let away = home.root().join("away");
        fs::rename(disk(&home), &away).expect("it can be moved");
        let (told, home) = refused(home).await;
        assert!(
            told.contains("its directory is missing\nhint: attach its disk"),
            "{told}"
        );
        fs::rename(&away, disk(&home)).expect("it can be moved");

        let serving = Serving::begin(home).await;
        check(
            octa(&serving.home, &["storage", "get", "load", "a"]),
            0,
            "1\n",
        );
        follows(&serving.home).await;
        serving.end();
    });
}

#[test]
fn what_cannot_take_over_is_refused_by_name() {
    run_within(PATIENCE, async {
        let home = home();
        check(
            idle(&home, &["takeover"]),
            3,
            "error: there is no standby `HOME/disk/standby.db`\n\
             hint: check `storage.standby`, or attach its disk\n",
        );
        fs::write(disk(&home).join("standby.db.copying"), "a part").expect("a file");
        check(
            idle(&home, &["takeover"]),
            3,
            "error: the standby `HOME/disk/standby.db` is not whole: its first copy was not finished\n\
             hint: bring the primary back, or restore a backup: `octa storage restore`\n",
        );
        fs::write(home.root().join("octa.toml"), "").expect("a file");
        check(
            idle(&home, &["takeover"]),
            3,
            "error: the configuration names no standby of storage `HOME/data/octa.db`\n\
             hint: name one as `storage.standby`, or give the configuration with `--config`\n",
        );
        fs::write(
            home.root().join("octa.toml"),
            "[storage]\nadapter = \"memory\"\n",
        )
        .expect("a file");
        check(
            idle(&home, &["takeover"]),
            3,
            "error: the storage is kept by `memory`, expected `sqlite`, which alone has a standby\n\
             hint: name the configuration that has the standby with `--config`; a PostgreSQL server \
             has standbys of its own\n",
        );
    });
}

#[test]
fn a_standby_in_trouble_is_told_and_the_kernel_goes_on() {
    run_within(PATIENCE, async {
        let serving = Serving::begin(home()).await;
        follows(&serving.home).await;
        fs::write(standby(&serving.home), "dear diary").expect("it is ours");
        let mut number = 0;
        let stats = loop {
            number += 1;
            assert!(set(&serving.home, "a", number).is_some());
            let shown = octa(&serving.home, &["storage", "stats"]).stdout;
            if shown.contains("fails since") && shown.contains("no database") {
                break shown;
            }
        };
        let hint = "hint: if it is not needed, move it away: a new standby is made then\n";
        assert!(stats.contains(hint), "{stats}");
        serving.told("standby `").await;
        let diary = fs::read(standby(&serving.home)).expect("it is there");
        assert_eq!(diary, b"dear diary");
        fs::remove_file(standby(&serving.home)).expect("it is there");
        follows(&serving.home).await;
        let home = serving.end();
        assert_eq!(
            records(&standby(&home)).await,
            records(&primary(&home)).await
        );
    });
}
