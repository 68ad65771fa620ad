//! A standby beside a primary that is written to, with real files.

mod takeovers;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::super::sqlite::files;
use super::super::{Batch, Contents, Expect, Sqlite, StorageAdapter, contents};
use super::*;
use crate::bus::{Bus, Subscription, SubscriptionOptions};
use crate::status::Problem;
use crate::time::SystemClock;

/// A directory with a database and its standby.
struct Home(TempDir);

/// A primary whose standby follows.
struct Running {
    primary: Arc<Sqlite>,
    follower: Follower,
    told: Subscription,
}

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().expect("a directory"));
        fs::create_dir(home.disk()).expect("a directory");
        home
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("a.db")
    }

    /// The other disk.
    fn disk(&self) -> PathBuf {
        self.0.path().join("disk")
    }

    fn standby(&self) -> PathBuf {
        self.disk().join("b.db")
    }

    fn start(&self) -> Running {
        let opened = open(&self.path(), Some(&self.standby()), Sqlite::options());
        let (primary, site) = opened.expect("it is clear which leads");
        let primary = Arc::new(primary);
        let clock = Arc::new(SystemClock::new(Handle::current()));
        let bus = Bus::new(Arc::new(|| 0));
        let pattern = "kernel.storage.*".parse().expect("a pattern");
        let told = bus.subscribe(SubscriptionOptions::new("test", pattern));
        let parts = Parts {
            primary: primary.clone(),
            site: site.expect("a standby is asked for"),
            clock,
            publisher: bus.publisher("kernel"),
            runtime: Handle::current(),
            keep: Arc::new(bus),
        };
        Running {
            primary,
            follower: Follower::start(parts).expect("a thread"),
            told,
        }
    }
}

impl Running {
    /// Waits until something is told on a topic; answers what.
    async fn until(&mut self, topic: &str) -> Value {
        loop {
            let event = self.told.recv().await.expect("the bus is open");
            if *event.topic == *topic {
                return serde_json::from_slice(&event.payload).expect("JSON");
            }
        }
    }

    /// Ends it; the standby has what the primary has then.
    async fn end(self) -> Contents {
        let all = contents(&*self.primary, |_| ()).await.expect("it is open");
        self.follower.stop().await;
        self.primary.close().await.expect("it closes");
        all
    }
}

async fn put(primary: &Sqlite, key: &str, value: &str) {
    let mut batch = Batch::new();
    let put = batch.put("a", key, Expect::Any, value.as_bytes());
    put.expect("a valid write");
    primary.apply(batch).await.expect("the primary goes on");
}

async fn all(path: &Path) -> Contents {
    let database = Sqlite::open(path).expect("it is whole");
    let all = contents(&database, |_| ()).await.expect("it is open");
    database.close().await.expect("it closes");
    all
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).expect("it is there").ino()
}

async fn fill(primary: &Sqlite, records: usize) {
    for page in 0..records.div_ceil(1_000) {
        let mut batch = Batch::new();
        for n in 0..1_000 {
            let key = format!("{page:03}-{n:03}");
            let put = batch.put("full", &key, Expect::Any, &b"\"abcdefghijklmnop\""[..]);
            put.expect("a valid write");
        }
        primary.apply(batch).await.expect("it is written");
    }
}

/// Writes, overwrites and deletes from several tasks at once.
async fn load(primary: &Arc<Sqlite>, rounds: u64) {
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let primary = primary.clone();
        writers.spawn(async move {
            for round in 0..rounds {
                let mut batch = Batch::new();
                for n in 0..20 {
                    let key = format!("{writer}-{}", (round * 7 + n) % 50);
                    let written = match (round + n) % 5 {
                        0 => batch.delete("load", &key, Expect::Any),
                        _ => batch.put("load", &key, Expect::Any, round.to_string().into_bytes()),
                    };
                    written.expect("a valid write");
                }
                primary.apply(batch).await.expect("it is written");
            }
        });
    }
    writers.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_everything_after_a_load() {
    let home = Home::new();
    let database = Sqlite::open(home.path()).expect("it opens");
    fill(&database, 20_000).await;
    database.close().await.expect("it closes");

    let mut running = home.start();
    load(&running.primary, 100).await;
    running.until(STANDBY_FOLLOWS_TOPIC).await;
    load(&running.primary, 100).await;
    let status = running.follower.status().await;
    assert_eq!(status.state, StandbyState::Following, "{status:?}");
    let expect = running.end().await;
    assert_eq!(all(&home.standby()).await, expect);
    let header = Sqlite::header(home.standby())
        .expect("readable")
        .expect("there");
    assert!(header.following);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_where_it_was_without_a_copy() {
    let home = Home::new();
    let mut running = home.start();
    fill(&running.primary, 2_000).await;
    running.until(STANDBY_FOLLOWS_TOPIC).await;
    running.end().await;
    let before = inode(&home.standby());

    // Nothing was written.
    let mut running = home.start();
    let told = running.until(STANDBY_FOLLOWS_TOPIC).await;
    assert_eq!(told["behind"], 0);
    running.end().await;
    assert_eq!(inode(&home.standby()), before);

    // Something was, and deleted, while nobody followed.
    let alone = Sqlite::open(home.path()).expect("it opens");
    put(&alone, "k", "1").await;
    let mut batch = Batch::new();
    let delete = batch.delete("full", "001-007", Expect::Any);
    delete.expect("a valid write");
    alone.apply(batch).await.expect("it is written");
    alone.close().await.expect("it closes");
    let mut running = home.start();
    running.until(STANDBY_FOLLOWS_TOPIC).await;
    let expect = running.end().await;
    assert_eq!(all(&home.standby()).await, expect);
    assert_eq!(inode(&home.standby()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_it_is_told_and_mended() {
    let home = Home::new();
    let mut running = home.start();
    running.until(STANDBY_FOLLOWS_TOPIC).await;

    fs::remove_file(home.standby()).expect("it is there");
    put(&running.primary, "k", "1").await;
    let told = running.until(STANDBY_FAILED_TOPIC).await;
    let problem = told["problem"]["message"].as_str().expect("a text");
    assert!(problem.contains("replaced, moved or deleted"), "{problem}");
    running.until(STANDBY_FOLLOWS_TOPIC).await;

    let away = home.0.path().join("away");
    fs::rename(home.disk(), &away).expect("it can be moved");
    put(&running.primary, "k", "2").await;
    running.until(STANDBY_FAILED_TOPIC).await;
    let told = running.until(STANDBY_FAILED_TOPIC).await;
    let problem = told["problem"]["message"].as_str().expect("a text");
    assert!(problem.contains("is not there"), "{problem}");
    put(&running.primary, "k", "3").await;
    fs::rename(&away, home.disk()).expect("it can be moved");
    running.until(STANDBY_FOLLOWS_TOPIC).await;

    let expect = running.end().await;
    assert_eq!(all(&home.standby()).await, expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_standby_is_never_overwritten() {
    let home = Home::new();
    let mut running = home.start();
    running.until(STANDBY_FOLLOWS_TOPIC).await;
    for strange in ["a text", "a database"] {
        let beside = home.disk().join("strange");
        match strange {
            "a text" => fs::write(&beside, "dear diary").expect("a file"),
            _ => {
                let other = Sqlite::open(&beside).expect("it opens");
                put(&other, "k", "7").await;
                other.close().await.expect("it closes");
            }
        }
        let bytes = fs::read(&beside).expect("it is there");
        fs::rename(&beside, home.standby()).expect("it can be moved");
        put(&running.primary, "k", "1").await;
        // First, that it is not the one any more.
        running.until(STANDBY_FAILED_TOPIC).await;
        let told = running.until(STANDBY_FAILED_TOPIC).await;
        let hint = told["problem"]["hint"].as_str().expect("a text");
        assert!(hint.contains("move it away"), "{told}");
        assert_eq!(fs::read(home.standby()).expect("it is there"), bytes);
        fs::remove_file(home.standby()).expect("it is there");
        running.until(STANDBY_FOLLOWS_TOPIC).await;
    }
    let expect = running.end().await;
    assert_eq!(all(&home.standby()).await, expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_damaged_is_made_anew() {
    let home = Home::new();
    let mut running = home.start();
    fill(&running.primary, 2_000).await;
    running.until(STANDBY_FOLLOWS_TOPIC).await;
    running.end().await;
    // Not the first page, on which it says what it is.
    let mut bytes = fs::read(home.standby()).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4_096].fill(0x55);
    fs::write(home.standby(), bytes).expect("it is ours");
    let mut running = home.start();
    running.until(STANDBY_FOLLOWS_TOPIC).await;
    let expect = running.end().await;
    assert_eq!(all(&home.standby()).await, expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_cannot_be_locked_or_read_keeps_no_primary_from_starting() {
    let home = Home::new();
    let (path, standby) = (home.path(), home.standby());
    let mut running = home.start();
    running.until(STANDBY_FOLLOWS_TOPIC).await;
    running.end().await;
    let lock = files::lock(&standby);
    fs::remove_file(&lock).expect("it is there");
    std::os::unix::fs::symlink(&lock, &lock).expect("a link");
    for content in [None, Some("dear diary")] {
        if let Some(content) = content {
            fs::write(&standby, content).expect("it is ours");
        }
        let mut running = home.start();
        put(&running.primary, "k", "1").await;
        running.until(STANDBY_FAILED_TOPIC).await;
        running.primary.close().await.expect("it closes");
    }
    // Without one that says that it leads, it is an error as ever.
    fs::remove_file(&standby).expect("it is ours");
    fs::remove_file(&path).expect("it is ours");
    let refused = open(&path, Some(&standby), Sqlite::options());
    assert!(matches!(refused, Err(PairError::Open(_))), "{refused:?}");
    assert!(!path.exists());
}
