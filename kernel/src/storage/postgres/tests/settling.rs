//! Commits whose fate is not known when nobody waits for it any more, and watches after a connection was lost.

use std::time::Duration;

use octa_test_servers::{Database, Moment, Proxy, own_postgres, postgres};
use tokio::task::JoinHandle;

use super::super::super::{Since, Storage, StorageError, Trouble};
use super::super::PostgresConfig;
use super::{RUNTIME, assert_trouble, connect, goes_on, json, open, set, storage, until};

/// How the writer asks for changes.
const NEWS: &str = "-- The changes behind version";

/// Silent is only who is so for longer than these tests take: connections are lost when they are cut.
fn hearing(url: String) -> PostgresConfig {
    let mut config = PostgresConfig::new(url);
    config.statement_timeout = Duration::from_millis(200);
    config.connect_timeout = Duration::from_secs(60);
    config.patience = Duration::from_secs(2);
    config
}

fn set_aside(storage: &Storage, value: &str) -> JoinHandle<Result<u64, StorageError>> {
    let (storage, value) = (storage.clone(), json(value));
    tokio::spawn(async move { storage.set("a", "k", value).await })
}

/// Where changes begin that are not known yet, to one that watches already.
async fn now(storage: &Storage) -> u64 {
    let now = storage.changes(Since::all(None)).await;
    let now = now.expect("a place").next;
    set(storage, "before", "1").await;
    let told = storage.changes(Since::all(Some(now))).await;
    told.expect("changes are told").next
}

/// What the next change writes.
async fn heard(storage: &Storage, after: u64) -> String {
    let told = storage.changes(Since::all(Some(after))).await;
    let told = told.expect("changes are told");
    let values = told.changes.iter().filter_map(|it| it.value.as_deref());
    String::from_utf8_lossy(&values.collect::<Vec<_>>().concat()).into_owned()
}

/// The processes of the sessions that wait for something.
fn waiting(database: &Database<'_>, event: &str) -> String {
    database.sql(&format!(
        "SELECT pid FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type || '.' || wait_event = '{event}'"
    ))
}

/// Another one has the lock without which it cannot be told, and keeps it.
#[test]
fn closing_does_not_wait_for_the_fate_of_a_commit() {
    let Some(server) = postgres() else { return };
    let database = server.database("fate");
    let proxy = Proxy::start(server.port());
    RUNTIME.block_on(async {
        let storage = storage(hearing(database.url_through(&proxy))).await;
        set(&storage, "k", "1").await;
        let mut other = connect(&database).await;
        let held = other.transaction().await.expect("begins");
        proxy.arm(Moment::BeforeCommit);
        let late = set_aside(&storage, "2");
        until(|| proxy.has_caught()).await;
        let cutting = async {
            until(|| !waiting(&database, "Lock.transactionid").is_empty()).await;
            proxy.cut();
        };
        let lock = held.query("SELECT FROM octa.counter FOR UPDATE", &[]);
        let (locked, ()) = tokio::join!(lock, cutting);
        locked.expect("the lock is taken");
        let late = late.await.expect("it ends well");
        let words = format!("{late:?}");
        assert!(words.contains("Unknown"), "{words}");
        assert_trouble(late, Trouble::Timeout);
        storage.close().await.expect("closes");
        held.rollback().await.expect("ends");
    });
}

/// The server is so slow with a commit that its caller is told that nothing is known; those who watch hear of it.
#[test]
fn a_commit_that_lands_late_is_told() {
    let Some(server) = own_postgres() else { return };
    let database = server.database("late");
    let proxy = Proxy::start(server.port());
    RUNTIME.block_on(async {
        let storage = storage(hearing(database.url_through(&proxy))).await;
        let now = now(&storage).await;
        // From some moment on, each commit waits behind its last chance to be ended otherwise.
        server.configure("synchronous_standby_names = 'nobody'");
        database.sql("SELECT pg_reload_conf()");
        let writer = {
            let storage = storage.clone();
            tokio::spawn(async move {
                for number in 0.. {
                    let value = json(&number.to_string());
                    if let Err(error) = storage.set("a", "k", value).await {
                        return (number, error);
                    }
                }
                unreachable!("no commit was late")
            })
        };
        until(|| !waiting(&database, "IPC.SyncRep").is_empty()).await;
        server.freeze_session(&waiting(&database, "IPC.SyncRep"));
        proxy.cut();
        let (number, error) = writer.await.expect("it ends well");
        assert!(format!("{error:?}").contains("Unknown"), "{error:?}");
        // It has looked for it, and found nothing, on another connection.
        let last = "SELECT query FROM pg_stat_activity
                    WHERE application_name LIKE 'octa %-%' AND state = 'idle'";
        until(|| database.sql(last).starts_with(NEWS)).await;
        let before = storage.get("a", "k").await.expect("a read answers");
        let position = before.map_or(now, |before| before.version);
        let hearing = tokio::spawn({
            let storage = storage.clone();
            async move { heard(&storage, position).await }
        });
        server.thaw();
        assert_eq!(hearing.await.expect("it ends well"), number.to_string());
    });
}

/// It was done, and who did it is connected again only when its caller has gone.
#[test]
fn a_commit_that_is_found_late_is_told() {
    let Some(server) = postgres() else { return };
    let database = server.database("found");
    let proxy = Proxy::start(server.port());
    RUNTIME.block_on(async {
        let storage = storage(hearing(database.url_through(&proxy))).await;
        let now = now(&storage).await;
        proxy.arm(Moment::AfterCommit);
        let late = set_aside(&storage, "1");
        until(|| proxy.has_caught()).await;
        proxy.hold();
        proxy.cut();
        let late = late.await.expect("it ends well").expect_err("no answer");
        assert!(format!("{late:?}").contains("Unknown"), "{late:?}");
        proxy.heal();
        assert_eq!(heard(&storage, now).await, "1");
    });
}

/// A write has opened the connection again that nobody waits for any more; what others wrote is heard all the same.
#[test]
fn a_watch_goes_on_after_a_write_that_was_given_up() {
    let Some(server) = postgres() else { return };
    let database = server.database("hears");
    let proxy = Proxy::start(server.port());
    let other = Storage::new(open(&database.url(), "octa"));
    RUNTIME.block_on(async {
        let storage = storage(hearing(database.url_through(&proxy))).await;
        let now = now(&storage).await;
        proxy.hold();
        proxy.cut();
        set(&other, "k", "\"other\"").await;
        let late = storage.set("a", "k", json("\"own\"")).await;
        let late = late.expect_err("there is no connection");
        assert!(format!("{late:?}").contains("NotWritten"), "{late:?}");
        proxy.heal();
        assert_eq!(heard(&storage, now).await, "\"other\"");
    });
}

/// A right is gone while the kernel runs: that is told, and tried again on the same connection. Who watches has missed
/// something then, and who writes is not refused.
#[test]
fn who_may_not_see_changes_writes_and_does_not_connect_again_and_again() {
    let Some(server) = postgres() else { return };
    let database = server.database("deaf");
    let other = Storage::new(open(&database.url(), "octa"));
    database.sql("CREATE ROLE deaf LOGIN PASSWORD 'secret'");
    database.sql("GRANT USAGE ON SCHEMA octa TO deaf");
    database.sql("GRANT ALL ON ALL TABLES IN SCHEMA octa TO deaf");
    let proxy = Proxy::start(server.port());
    RUNTIME.block_on(async {
        let url = database.url_for_through("deaf", &proxy);
        let storage = storage(hearing(url).password("secret")).await;
        let now = now(&storage).await;
        database.sql("REVOKE SELECT ON octa.changes FROM deaf");
        let connections = proxy.accepted();
        let watching = tokio::spawn({
            let storage = storage.clone();
            async move { storage.changes(Since::all(Some(now))).await }
        });
        let version = set(&other, "k", "\"other\"").await;
        for _ in 0..20 {
            let ahead = storage.changes(Since::all(Some(version))).await;
            assert_trouble(ahead.map(drop), Trouble::Permission);
        }
        assert!(!watching.is_finished());
        let own = set(&storage, "k", "\"own\"").await;
        let told = watching.await.expect("it ends well");
        let told = told.expect("changes are told");
        assert!(told.missed && told.changes.is_empty(), "{told:?}");
        assert!((version..=own).contains(&told.next), "{told:?}");
        set(&other, "k", "\"another\"").await;
        assert_eq!(proxy.accepted(), connections);
        database.sql("GRANT SELECT ON octa.changes TO deaf");
        assert_eq!(heard(&storage, own).await, "\"another\"");
        goes_on(&storage).await;
        assert_eq!(proxy.accepted(), connections);
    });
}
