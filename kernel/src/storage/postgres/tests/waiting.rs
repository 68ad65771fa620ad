//! Servers that do not answer, or too late: calls end within their time, with a reason.

use octa_test_servers::{Postgres as Server, own_postgres, postgres};

use super::super::super::Trouble;
use super::{RUNTIME, assert_trouble, connect, goes_on, impatient, json, set, value};

/// Somebody else holds the lock that orders writers.
#[test]
fn a_statement_that_takes_too_long_is_ended() {
    let Some(server) = postgres() else { return };
    let database = server.database("slow");
    RUNTIME.block_on(async {
        let storage = impatient(database.url()).await;
        set(&storage, "k", "1").await;
        let mut other = connect(&database).await;
        let held = other.transaction().await.expect("begins");
        let lock = "SELECT FROM octa.counter FOR UPDATE";
        held.query(lock, &[]).await.expect("the lock is taken");
        let late = storage.set("a", "k", json("2")).await;
        let words = format!("{late:?}");
        assert!(words.contains("due to statement timeout"), "{words}");
        assert_trouble(late, Trouble::Timeout);
        assert_eq!(value(&storage, "k").await.as_deref(), Some("1"));
        held.rollback().await.expect("ends");
        set(&storage, "k", "3").await;
    });
}

/// Also where one reads.
#[test]
fn a_read_that_takes_too_long_is_ended() {
    let Some(server) = postgres() else { return };
    let database = server.database("locked");
    RUNTIME.block_on(async {
        let storage = impatient(database.url()).await;
        let mut other = connect(&database).await;
        let held = other.transaction().await.expect("begins");
        let lock = "LOCK TABLE octa.records IN ACCESS EXCLUSIVE MODE";
        held.batch_execute(lock).await.expect("the lock is taken");
        let late = storage.get("a", "k").await;
        let words = format!("{late:?}");
        assert!(words.contains("due to statement timeout"), "{words}");
        assert_trouble(late, Trouble::Timeout);
        held.rollback().await.expect("ends");
        assert_eq!(value(&storage, "k").await, None);
    });
}

#[test]
fn a_server_that_stands_still_is_not_waited_for_for_ever() {
    let Some(server) = own_postgres() else { return };
    let database = server.database("still");
    RUNTIME.block_on(async {
        let storage = impatient(database.url()).await;
        set(&storage, "k", "1").await;
        assert_eq!(value(&storage, "k").await.as_deref(), Some("1"));
        server.freeze();
        let (read, written) = tokio::join!(storage.get("a", "k"), storage.set("a", "k", json("2")));
        assert_trouble(read, Trouble::Timeout);
        assert_trouble(written, Trouble::Timeout);
        server.thaw();
        goes_on(&storage).await;
    });
    gone_and_back(&server);
}

/// A server that is gone, and comes back, on the same data.
fn gone_and_back(server: &Server) {
    let database = server.database("gone");
    RUNTIME.block_on(async {
        let storage = impatient(database.url()).await;
        set(&storage, "k", "1").await;
        server.kill();
        let (read, written, listed) = tokio::join!(
            storage.get("a", "k"),
            storage.set("a", "k", json("2")),
            storage.usage()
        );
        assert_trouble(read, Trouble::Unreachable);
        assert_trouble(written, Trouble::Unreachable);
        assert_trouble(listed, Trouble::Unreachable);
        server.restart().expect("starts again");
        goes_on(&storage).await;
        storage.close().await.expect("closes");
    });
}

#[test]
fn closing_does_not_wait_for_a_server_that_is_gone() {
    let Some(server) = own_postgres() else { return };
    let database = server.database("closing");
    RUNTIME.block_on(async {
        let storage = impatient(database.url()).await;
        set(&storage, "k", "1").await;
        server.kill();
        let late = storage.clone();
        let late = tokio::spawn(async move { late.set("a", "k", json("2")).await });
        storage.close().await.expect("closes");
        late.await
            .expect("it ends well")
            .expect_err("nothing answers");
    });
}
