//! Backups that are made and restored, and those that are not, for what is in their way.

mod after;

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use tokio::sync::oneshot::error::TryRecvError;

use super::*;
use crate::storage::{Batch, Expect, Memory, Query};

async fn write(to: &dyn StorageAdapter, key: &str, value: &str) {
    let mut batch = Batch::new();
    let put = batch.put("lamps", key, Expect::Any, value.as_bytes());
    put.expect("a valid write");
    to.apply(batch).await.expect("it is written");
}

async fn memory(records: u32) -> Memory {
    let memory = Memory::new();
    for key in 0..records {
        write(&memory, &format!("lamp_{key}"), &key.to_string()).await;
    }
    memory
}

async fn backed_up(records: u32, path: &Path) -> Contents {
    let copied = backup(&memory(records).await, path, false, |_| ()).await;
    copied.expect("it is backed up")
}

async fn contents_of(path: &Path) -> Contents {
    let sqlite = Sqlite::open(path).expect("it opens");
    let contents = copy::contents(&sqlite, |_| ()).await;
    sqlite.close().await.expect("it closes");
    contents.expect("it is read")
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    let names = names.into_iter().map(|name| name.into_string());
    names.collect::<Result<_, _>>().expect("text")
}

/// The error with its causes and its hint, the directory taken out.
fn told<T: std::fmt::Debug>(result: Result<T, BackupError>, home: &Path) -> String {
    let error = result.expect_err("it is refused");
    let mut told = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        told += &format!("\n{cause}");
        source = cause.source();
    }
    told += &format!("\nhint: {}", error.hint().unwrap_or_default());
    told.replace(&home.display().to_string(), "HOME")
}

#[tokio::test]
async fn a_backup_is_one_file_and_comes_back_whole() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("home.bak");
    let made = backed_up(2_500, &path).await;
    assert_eq!(names(home.path()), ["home.bak"]);
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let (bytes, to) = (
        fs::read(&path).expect("a file"),
        home.path().join("new/octa.db"),
    );
    let restored = restore(&path, &to, None, false, |_| ()).await;
    let restored = restored.expect("it is restored");
    assert_eq!(restored.contents, made);
    assert!(restored.aside.is_empty());
    let mode = fs::metadata(&to).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for its owner only");
    assert_eq!(contents_of(&to).await, made);
    assert_eq!(fs::read(&path).expect("a file"), bytes, "it was only read");
    assert_eq!(names(home.path()), ["home.bak", "new"]);
    assert_eq!(names(&home.path().join("new")), ["octa.db", "octa.db.lock"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_cuts_no_batch_of_those_that_are_written_meanwhile() {
    const KEYS: u32 = 10;
    let home = tempfile::tempdir().expect("a directory");
    let sqlite = Arc::new(Sqlite::open(home.path().join("octa.db")).expect("it opens"));
    // So many others that a backup takes several reads.
    for key in 0..3_000 {
        write(&*sqlite, &format!("other_{key}"), "0").await;
    }
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let writing = tokio::spawn({
        let sqlite = sqlite.clone();
        async move {
            for value in 1.. {
                let mut batch = Batch::new();
                for key in 0..KEYS {
                    // Half of them before the others, half behind.
                    let key = format!("{}_{key}", ["a", "z"][key as usize % 2]);
                    let value = u64::to_string(&value).into_bytes();
                    let put = batch.put("lamps", &key, Expect::Any, value);
                    put.expect("a valid write");
                }
                sqlite.apply(batch).await.expect("it is written");
                if stopped.try_recv() != Err(TryRecvError::Empty) {
                    return;
                }
            }
        }
    });
    let mut last = 0;
    for number in 0..3 {
        let path = home.path().join(format!("{number}.bak"));
        let made = backup(&*sqlite, &path, false, |_| ()).await;
        let made = made.expect("it is backed up");
        assert!(made.last_version > last, "it was written meanwhile");
        last = made.last_version;
        let copy = Sqlite::open(&path).expect("it opens");
        let mut values = Vec::new();
        for prefix in ["a_", "z_"] {
            let page = copy
                .list(Query::new("lamps", prefix).expect("a query"))
                .await;
            let entries = page.expect("it is read").entries;
            values.extend(entries.into_iter().map(|entry| entry.record.value));
        }
        values.dedup();
        assert!(values.len() <= 1, "a batch is cut: {values:?}");
    }
    drop(stop);
    writing.await.expect("it ends");
}

#[tokio::test]
async fn what_is_there_is_kept_unless_forced() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("home.bak");
    backed_up(1, &path).await;
    let again = backup(&memory(2).await, &path, false, |_| ()).await;
    assert_eq!(
        told(again, home.path()),
        "`HOME/home.bak` is there already, expected a new file\n\
         hint: name another file, or replace it with `--force`"
    );
    assert_eq!(contents_of(&path).await.records, 1);
    let forced = backup(&memory(2).await, &path, true, |_| ()).await;
    assert_eq!(forced.expect("it is replaced").records, 2);
    assert_eq!(contents_of(&path).await.records, 2);
}

#[tokio::test]
async fn a_place_that_does_not_take_a_backup_is_told_and_left_clean() {
    let home = tempfile::tempdir().expect("a directory");
    fs::create_dir(home.path().join("directory")).expect("a directory");
    fs::write(home.path().join("file"), "").expect("a file");
    for (name, expect) in [
        (
            "nowhere/home.bak",
            "cannot write to the directory `HOME/nowhere`\nNo such file or directory (os error 2)\n\
             hint: check the name, or make `HOME/nowhere` first",
        ),
        (
            "directory",
            "`HOME/directory` is no file, expected the name of one\n\
             hint: name a file, such as `/mnt/backup/home.db`",
        ),
        (
            "file/home.bak",
            "cannot write to the directory `HOME/file`\nNot a directory (os error 20)\nhint: name a directory",
        ),
    ] {
        let made = backup(&memory(1).await, &home.path().join(name), false, |_| ()).await;
        assert_eq!(told(made, home.path()), expect);
    }
    assert_eq!(names(home.path()), ["directory", "file"]);
}

#[tokio::test]
async fn a_storage_that_fails_leaves_nothing_behind() {
    let home = tempfile::tempdir().expect("a directory");
    let closed = Memory::new();
    closed.close().await.expect("it closes");
    let made = backup(&closed, &home.path().join("home.bak"), false, |_| ()).await;
    let told = told(made, home.path());
    assert!(
        told.starts_with("cannot back up into `HOME/home.bak`\n"),
        "{told}"
    );
    assert!(told.contains("storage is closed"), "{told}");
    assert_eq!(names(home.path()), [""; 0]);
}

#[tokio::test]
async fn what_is_no_backup_is_not_restored() {
    let home = tempfile::tempdir().expect("a directory");
    let at = |name: &str| home.path().join(name);
    backed_up(100, &at("sound")).await;
    let sound = fs::read(at("sound")).expect("a file");
    let patched = |at: usize, with: &[u8]| {
        let mut bytes = sound.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    fs::write(at("text"), "{}".repeat(1_000)).expect("a file");
    fs::write(at("cut"), &sound[..sound.len() / 2]).expect("a file");
    // `user_version` and `application_id`, as SQLite's file format has them.
    fs::write(at("newer"), patched(60, &[0, 0, 0, 99])).expect("a file");
    fs::write(at("foreign"), patched(68, &[0, 0, 0, 7])).expect("a file");
    fs::write(at("open"), &sound).expect("a file");
    fs::write(at("open-wal"), "some").expect("a file");
    for (name, begins, hint) in [
        (
            "text",
            "`HOME/text` is no backup that can be restored\n\
             storage `HOME/text` is not an SQLite database",
            "name a file that `octa storage backup` made",
        ),
        (
            "cut",
            "`HOME/cut` is no backup that can be restored\nstorage `HOME/cut` is damaged: ",
            "take an earlier backup",
        ),
        (
            "newer",
            "`HOME/newer` is no backup that can be restored\n\
             storage `HOME/newer` has format 99, this kernel reads formats up to ",
            "restore it with the newer program that made it",
        ),
        (
            "foreign",
            "`HOME/foreign` is no backup that can be restored\n\
             storage `HOME/foreign` is a database of another program",
            "name a file that `octa storage backup` made",
        ),
        (
            "open",
            "`HOME/open` is no backup but a database in use: `HOME/open-wal` beside it holds a \
             part of it",
            "back up from it: `octa storage migrate --from sqlite:PATH --to sqlite:NEW`",
        ),
        (
            "nowhere",
            "cannot read `HOME/nowhere`\nNo such file or directory",
            "check the name",
        ),
    ] {
        let restored = restore(&at(name), &at("to/octa.db"), None, true, |_| ()).await;
        let told = told(restored, home.path());
        assert!(told.starts_with(begins), "{told}");
        assert!(told.ends_with(&format!("hint: {hint}")), "{told}");
        assert_eq!(names(&at("to")), [""; 0], "{name}");
    }
}

#[tokio::test]
async fn a_storage_that_holds_something_is_kept_aside() {
    let home = tempfile::tempdir().expect("a directory");
    let (path, to) = (home.path().join("home.bak"), home.path().join("octa.db"));
    backed_up(3, &path).await;
    let sqlite = Sqlite::open(&to).expect("it opens");
    write(&sqlite, "old", "1").await;
    assert_eq!(
        told(restore(&path, &to, None, true, |_| ()).await, home.path()),
        format!(
            "cannot restore into the storage that is there\n\
             storage `HOME/octa.db` is in use by another kernel (process {}), which holds \
             `HOME/octa.db.lock`\n\
             hint: stop that kernel first",
            std::process::id()
        )
    );
    sqlite.close().await.expect("it closes");
    assert_eq!(
        told(restore(&path, &to, None, false, |_| ()).await, home.path()),
        "`HOME/octa.db` is not empty (records: 1), expected an empty storage to restore into\n\
         hint: `--force` keeps what is there aside under another name"
    );
    assert_eq!(contents_of(&to).await.records, 1);
    for number in 1..3 {
        let restored = restore(&path, &to, None, true, |_| ())
            .await
            .expect("forced");
        let aside = home.path().join(format!("octa.db.replaced-{number}"));
        assert_eq!(restored.aside, [aside]);
        assert_eq!(contents_of(&to).await.records, 3);
    }
    let first = home.path().join("octa.db.replaced-1");
    assert_eq!(contents_of(&first).await.records, 1);
}

#[tokio::test]
async fn a_damaged_storage_makes_place_for_its_backup() {
    let home = tempfile::tempdir().expect("a directory");
    let (path, to) = (home.path().join("home.bak"), home.path().join("octa.db"));
    backed_up(3, &path).await;
    fs::write(&to, "damaged").expect("a file");
    fs::write(home.path().join("octa.db-wal"), "damaged too").expect("a file");
    let refused = told(restore(&path, &to, None, false, |_| ()).await, home.path());
    assert!(
        refused.ends_with("hint: `--force` keeps the file aside under another name"),
        "{refused}"
    );
    let restored = restore(&path, &to, None, true, |_| ())
        .await
        .expect("forced");
    let aside = home.path().join("octa.db.replaced-1");
    assert_eq!(restored.aside, std::slice::from_ref(&aside));
    assert_eq!(fs::read(&aside).expect("a file"), b"damaged");
    assert_eq!(contents_of(&to).await.records, 3);
}

#[tokio::test]
async fn an_empty_storage_is_in_nobodys_way() {
    let home = tempfile::tempdir().expect("a directory");
    let (path, to) = (home.path().join("home.bak"), home.path().join("octa.db"));
    backed_up(3, &path).await;
    let empty = Sqlite::open(&to).expect("it opens");
    empty.close().await.expect("it closes");
    let restored = restore(&path, &to, None, false, |_| ()).await;
    assert!(restored.expect("it is restored").aside.is_empty());
    assert_eq!(contents_of(&to).await.records, 3);
}

#[tokio::test]
async fn a_standby_makes_place_too() {
    let home = tempfile::tempdir().expect("a directory");
    let at = |name: &str| home.path().join(name);
    let (path, to, standby) = (at("home.bak"), at("octa.db"), at("standby.db"));
    backed_up(3, &path).await;
    fs::copy(&path, &standby).expect("a copy");
    let refused = restore(&path, &to, Some(&standby), false, |_| ()).await;
    assert!(
        told(refused, home.path()).starts_with("`HOME/standby.db` is not empty (records: 3)"),
        "it holds something"
    );
    let restored = restore(&path, &to, Some(&standby), true, |_| ()).await;
    let aside = restored.expect("forced").aside;
    assert_eq!(aside, [at("standby.db.replaced-1")]);
    assert!(to.exists() && !standby.exists());
    let nowhere = at("away/standby.db");
    let restored = restore(&path, &to, Some(&nowhere), true, |_| ()).await;
    assert_eq!(restored.expect("forced").aside, [at("octa.db.replaced-1")]);
}

#[tokio::test]
async fn another_kind_of_storage_is_backed_up_before_it_is_replaced() {
    let home = tempfile::tempdir().expect("a directory");
    let (path, aside) = (home.path().join("home.bak"), home.path().join("before.db"));
    let made = backed_up(3, &path).await;
    let to = memory(1_500).await;
    let place = ("postgres://h/d", &*aside);
    assert_eq!(
        told(
            restore_into(&path, &to, place, false, |_| ()).await,
            home.path()
        ),
        "`postgres://h/d` is not empty (records: 1500), expected an empty storage to restore into\n\
         hint: `--force` keeps what is there aside under another name"
    );
    let restored = restore_into(&path, &to, place, true, |_| ()).await;
    let restored = restored.expect("forced");
    assert_eq!(restored.contents.digest, made.digest);
    assert_eq!(restored.aside, std::slice::from_ref(&aside));
    assert_eq!(contents_of(&aside).await.records, 1_500);
    assert_eq!(
        names(home.path()),
        ["before.db", "before.db.lock", "home.bak"]
    );
}

/// A database as it is when its kernel was killed, and its log.
async fn killed(path: &Path) -> PathBuf {
    let (log, kept) = (files::beside(path, "-wal"), files::beside(path, "-kept"));
    let sqlite = Sqlite::open(path).expect("it opens");
    for key in 0..50 {
        write(&sqlite, &format!("old_{key}"), "1").await;
    }
    fs::copy(&log, &kept).expect("a log");
    sqlite.close().await.expect("it closes");
    fs::rename(&kept, &log).expect("a log");
    log
}

#[tokio::test]
async fn a_log_that_was_left_does_not_come_back() {
    let home = tempfile::tempdir().expect("a directory");
    let at = |name: &str| home.path().join(name);
    let (path, to) = (at("home.bak"), at("octa.db"));
    let made = backed_up(2_000, &path).await;
    killed(&to).await;
    fs::remove_file(&to).expect("it was there");
    let restored = restore(&path, &to, None, false, |_| ()).await;
    let restored = restored.expect("it is restored");
    assert_eq!(restored.aside, [at("octa.db.replaced-1-wal")]);
    assert_eq!(contents_of(&to).await, made);

    // The same where a backup, or what moves there, is new.
    let new = at("new.db");
    killed(&new).await;
    fs::remove_file(&new).expect("it was there");
    backed_up(3, &new).await;
    assert_eq!(contents_of(&new).await.records, 3);
    assert!(at("new.db.replaced-1-wal").exists());
    // A main file with its log goes aside whole, where the name of neither is taken.
    killed(&new).await;
    let forced = backup(&memory(4).await, &new, true, |_| ()).await;
    assert_eq!(forced.expect("it is replaced").records, 4);
    assert_eq!(contents_of(&new).await.records, 4);
    assert_eq!(contents_of(&at("new.db.replaced-2")).await.records, 53);
}

#[tokio::test]
async fn a_database_that_is_open_is_not_replaced() {
    let home = tempfile::tempdir().expect("a directory");
    let at = |name: &str| home.path().join(name);
    let (path, link) = (at("octa.db"), at("link.db"));
    let sqlite = Sqlite::open(&path).expect("it opens");
    write(&sqlite, "old", "1").await;
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    for target in [&path, &link] {
        let refused = told(backup(&sqlite, target, true, |_| ()).await, home.path());
        assert!(
            refused.contains("storage `HOME/octa.db` is in use by another kernel (process "),
            "{refused}"
        );
        assert!(
            refused.ends_with(
                "hint: name another file: that one is the storage of a kernel, or is being made"
            ),
            "{refused}"
        );
    }
    write(&sqlite, "new", "1").await;
    sqlite.close().await.expect("it closes");
    assert_eq!(contents_of(&path).await.records, 2);
    assert_eq!(names(home.path()), ["link.db", "octa.db", "octa.db.lock"]);
}

#[tokio::test]
async fn a_failure_names_what_was_set_aside() {
    let home = tempfile::tempdir().expect("a directory");
    let at = |name: &str| home.path().join(name);
    let path = at("octa.db");
    let error = BackupError::NotAFile { path }.kept(&[at("a"), at("b")]);
    assert_eq!(
        told(Err::<(), _>(error), home.path()),
        "nothing took the place of what is kept as `HOME/a` and `HOME/b`\n\
         `HOME/octa.db` is no file, expected the name of one\n\
         hint: see to the cause and try again, or give it its old name back"
    );
}

#[tokio::test]
async fn what_was_emptied_and_not_filled_again_is_named() {
    let home = tempfile::tempdir().expect("a directory");
    let (path, aside) = (home.path().join("home.bak"), home.path().join("before.db"));
    backed_up(3, &path).await;
    let to = Arc::new(memory(5).await);
    let closing = to.clone();
    let failed = restore_into(&path, &*to, ("memory", &aside), true, move |_| {
        // It is told of the first step once all is deleted.
        let mut closed = closing.close();
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = closed.as_mut().poll(&mut cx);
    });
    let told = told(failed.await, home.path());
    assert!(
        told.starts_with(
            "not all of it was restored; what was there before is kept as `HOME/before.db`\n\
             cannot restore `HOME/home.bak`\n"
        ),
        "{told}"
    );
    assert!(
        told.contains("hint: bring it back: `octa storage restore HOME/before.db --force`, "),
        "{told}"
    );
    assert_eq!(contents_of(&aside).await.records, 5);
}

/// A standby is a backup too: nothing would start on one that follows.
#[tokio::test]
async fn a_standby_that_is_restored_leads() {
    let home = tempfile::tempdir().expect("a directory");
    let [standby, to] = ["standby.db", "new/octa.db"].map(|name| home.path().join(name));
    let sqlite = Sqlite::open(&standby).expect("it opens");
    write(&sqlite, "lamp", "1").await;
    let expect = sqlite.follow("home", 3).await.expect("it is open");
    assert!(expect.following);
    sqlite.close().await.expect("it closes");
    let restored = restore(&standby, &to, None, false, |_| ()).await;
    assert_eq!(restored.expect("it is restored").contents.records, 1);
    let header = Sqlite::header(&to)
        .expect("it is read")
        .expect("it is there");
    assert!(!header.following, "{header:?}");
    let kept = Sqlite::header(&standby).expect("it is read");
    assert_eq!(kept, Some(expect), "the backup is only read");
}
