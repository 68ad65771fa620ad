//! Disks that are full for real, and directories and files that may not be written.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::process::{Command, ExitStatus};

use super::super::super::Trouble;
use super::child;
use super::*;

const DISK_BYTES: u64 = 48 << 20;

/// What is left of it to be filled: more than the log has when it is emptied.
const SOME: u64 = 7 << 20;

/// How a process gets a disk that is soon full.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Disk {
    /// One of its own, in a namespace of its own.
    Mounted,
    /// A limit on the size of its files.
    Limited,
}

/// On a disk of its own, where the system lets us mount one, and behind a limit on the size of files, which
/// SQLite takes for another failure.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_nothing() {
    let size = format!("size={DISK_BYTES}");
    let mount = "mount -t tmpfs -o \"$0\" none \"$1\" || exit 77; shift; exec \"$@\"";
    let mounted = ["-Urm", "-m"].iter().any(|with| {
        let way = ["unshare", with, "sh", "-c", mount, &size];
        run(Disk::Mounted, &way)
    });
    // Told of the limit by a signal, a program would end.
    let limit = "trap '' XFSZ; exec \"$@\"";
    let limited = run(Disk::Limited, &["sh", "-c", limit, "sh"]);
    assert!(
        limited,
        "no limit on the size of files; a disk of its own: {mounted}"
    );
}

/// Runs the worker on a full disk; tells whether this way there is one.
fn run(disk: Disk, way: &[&str]) -> bool {
    let directory = directory();
    let place = directory.path().join(format!("{disk:?}"));
    fs::create_dir(&place).expect("creates");
    let mounted = place.display().to_string();
    let mut before = way.to_vec();
    if disk == Disk::Mounted {
        before.push(&mounted);
    }
    let output = child::command(&before, "disks::on_a_full_disk", &place)
        .output()
        .expect("a process");
    let words = String::from_utf8_lossy(&output.stdout);
    let has_begun = words.contains("on the disk");
    assert!(
        output.status.success() || !has_begun,
        "{way:?}: {words}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    has_begun
}

/// The worker: fills the disk again and again, and checks that what was acknowledged is there.
#[test]
fn on_a_full_disk() {
    let Some(place) = child::place() else { return };
    println!("on the disk");
    let disk = match place.ends_with("Mounted") {
        true => Disk::Mounted,
        false => Disk::Limited,
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(close_without_space(&place.join("sealed"), disk));
    runtime.block_on(fill_and_go_on(&place, disk));
}

/// There is space for the log, and then none for what is in it to come into the file.
async fn close_without_space(place: &Path, disk: Disk) {
    fs::create_dir(place).expect("creates");
    let path = place.join("db");
    let log = place.join("db-wal");
    let mut told = BTreeSet::new();
    let place = place.to_owned();
    let ballast = Ballast { place, disk };
    for (round, records, has_space) in [("first", 60, true), ("second", 15, false)] {
        let storage = Storage::new(open(&path));
        for number in 0..records {
            let key = format!("{round} {number}");
            write(&storage, &key, &mut told).await.expect("writes");
        }
        if has_space {
            storage.close().await.expect("closes");
            assert!(!log.exists(), "all is in the file");
        } else {
            ballast.leave(64 << 10);
            for _again in 0..2 {
                assert_full(&storage.close().await.expect_err("the file has not all"));
            }
        }
    }
    assert!(log.exists(), "the rest is in the log");
    ballast.give();
    let storage = Storage::new(open(&path));
    assert_holds(&storage, &told).await;
    storage.close().await.expect("closes");
    assert!(!log.exists(), "all is in the file");
    fs::remove_file(path).expect("gives its space back");
}

async fn fill_and_go_on(place: &Path, disk: Disk) {
    let path = place.join("db");
    let mut told = BTreeSet::new();
    let place = place.to_owned();
    let ballast = Ballast { place, disk };
    let sqlite = Arc::new(open(&path));
    let storage = Storage::of(sqlite.clone());

    ballast.leave(SOME);
    fill(&storage, "first", &mut told).await;
    assert_holds(&storage, &told).await;
    ballast.give();
    write(&storage, "space again", &mut told)
        .await
        .expect("goes on");

    // A snapshot keeps the log from being emptied: now that fills the disk.
    let snapshot = sqlite.snapshot().await.expect("a snapshot");
    ballast.leave(SOME);
    fill(&storage, "second", &mut told).await;
    drop(snapshot);
    ballast.give();
    write(&storage, "space once more", &mut told)
        .await
        .expect("goes on");

    ballast.leave(SOME);
    fill(&storage, "third", &mut told).await;
    if let Err(error) = storage.close().await {
        assert_full(&error);
    }
    ballast.leave(0);
    match Sqlite::open(&path) {
        Ok(sqlite) => assert_holds(&Storage::new(sqlite), &told).await,
        Err(error) => assert!(
            error.hint().is_some_and(|hint| hint.contains("space")),
            "{error}"
        ),
    }
    ballast.give();
    let storage = Storage::new(open(&path));
    write(&storage, "in the end", &mut told)
        .await
        .expect("goes on");
    assert_holds(&storage, &told).await;
}

/// Writes from several tasks until there is no space; remembers what was acknowledged.
async fn fill(storage: &Storage, round: &str, told: &mut BTreeSet<String>) {
    let mut failed = 0;
    for number in 0.. {
        let mut writes = tokio::task::JoinSet::new();
        for writer in 0..4 {
            let (storage, key) = (storage.clone(), format!("{round} {number} {writer}"));
            writes.spawn(async move { (put(&storage, &key).await, key) });
        }
        for (written, key) in writes.join_all().await {
            match written {
                Ok(_) => drop(told.insert(key)),
                Err(error) => {
                    assert_full(&error);
                    failed += 1;
                }
            }
        }
        if failed > 40 {
            return;
        }
    }
}

fn assert_full(error: &StorageError) {
    let StorageError::Unavailable {
        trouble, source, ..
    } = error
    else {
        panic!("expected unavailable, found `{error}`");
    };
    assert_eq!(*trouble, Trouble::Full, "{error}: {source}");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("free some space"))
    );
}

async fn put(storage: &Storage, key: &str) -> Result<u64, StorageError> {
    let bytes = 1_000 + key.len() * 7_919 % 100_000;
    let value = format!("\"{key}{}\"", "x".repeat(bytes));
    storage.set("a", key, value.into_bytes()).await
}

async fn write(
    storage: &Storage,
    key: &str,
    told: &mut BTreeSet<String>,
) -> Result<u64, StorageError> {
    told.insert(key.to_owned());
    put(storage, key).await
}

async fn assert_holds(storage: &Storage, told: &BTreeSet<String>) {
    for key in told {
        let record = storage.get("a", key).await.expect("reads");
        let record = record.unwrap_or_else(|| panic!("`{key}` was acknowledged"));
        assert!(
            record.value[1..].starts_with(key.as_bytes()),
            "`{key}` has another value"
        );
    }
}

/// What takes the space of a disk, or the limit that does.
struct Ballast {
    place: PathBuf,
    disk: Disk,
}

impl Ballast {
    /// Leaves so many bytes.
    fn leave(&self, bytes: u64) {
        match self.disk {
            Disk::Mounted => {
                let file = File::create(self.place.join("ballast")).expect("has a place");
                let part = vec![1; 1 << 16];
                while (&file).write_all(&part).is_ok() {}
                let length = file.metadata().expect("is open").len();
                let length = length.checked_sub(bytes).expect("there was more space");
                file.set_len(length).expect("gives some back");
            }
            Disk::Limited => {
                let length = |name| fs::metadata(self.place.join(name)).map_or(0, |it| it.len());
                limit(&(length("db").max(length("db-wal")) + bytes).to_string());
            }
        }
    }

    fn give(&self) {
        match self.disk {
            Disk::Mounted => fs::remove_file(self.place.join("ballast")).expect("gives it back"),
            Disk::Limited => limit("unlimited"),
        }
    }
}

/// Limits the files of this process.
fn limit(bytes: &str) {
    let own = process::id().to_string();
    let set = format!("--fsize={bytes}:unlimited");
    let status = Command::new("prlimit").args(["--pid", &own, &set]).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "a limit is set"
    );
}

/// A user without privileges: root may write everywhere.
#[cfg(unix)]
#[test]
fn what_may_not_be_written_is_told_at_opening() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    let directory = directory();
    let mut command = child::command(&[], "disks::without_privileges", directory.path());
    if fs::metadata(directory.path()).expect("is there").uid() == 0 {
        let all = fs::Permissions::from_mode(0o777);
        fs::set_permissions(directory.path(), all).expect("opens it to all");
        command.uid(NOBODY).gid(NOBODY);
    }
    let status: ExitStatus = command.status().expect("a process of another user");
    assert!(status.success(), "see above");
}

#[cfg(unix)]
#[test]
fn without_privileges() {
    use std::os::unix::fs::PermissionsExt;
    let Some(place) = child::place() else { return };
    let mode = |path: &Path, mode| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(path, permissions).expect("is ours");
    };
    let check = |name: &str, file_mode, directory_mode, locked: bool, expect: &str| {
        let directory = place.join(name);
        let path = directory.join("db");
        drop(open(&path));
        if !locked {
            fs::remove_file(directory.join("db.lock")).expect("deletes");
        }
        mode(&path, file_mode);
        mode(&directory, directory_mode);
        let error = Sqlite::open(&path).expect_err("must be refused");
        let text = error
            .to_string()
            .replace(&format!("{}/", directory.display()), "");
        assert_eq!(text, expect);
        let hint = error.hint().unwrap_or_default();
        assert!(hint.starts_with("let this user read and write"), "{hint}");
        mode(&directory, 0o700);
        mode(&path, 0o600);
        drop(open(&path));
    };
    check(
        "file",
        0o400,
        0o700,
        true,
        "cannot open `db` for the storage",
    );
    check(
        "both",
        0o600,
        0o500,
        false,
        "cannot open `db.lock` for the storage",
    );
    check("beside", 0o600, 0o500, true, "cannot open storage `db`");
}
