//! Who wants a database alone, and who has it already.

use std::time::Duration;

use octa_test_servers::{Database, Proxy, postgres};

use super::super::super::{Storage, StorageError, Trouble};
use super::super::{Postgres, PostgresConfig, PostgresError};
use super::{RUNTIME, assert_trouble, goes_on, impatient, json, open, set, storage, until, value};

/// What is told of those that have it.
#[track_caller]
fn refused(config: PostgresConfig) -> String {
    match RUNTIME.block_on(Postgres::open(config)) {
        Err(error @ PostgresError::InUse { .. }) => {
            let hint = error.hint().unwrap_or_default();
            assert!(hint.contains("SELECT pg_terminate_backend("), "{hint}");
            error.to_string()
        }
        other => panic!("it is not in use: {other:?}"),
    }
}

fn alone(database: &Database<'_>) -> PostgresConfig {
    PostgresConfig::new(database.url()).exclusive()
}

fn is_busy(error: &StorageError) -> bool {
    let busy = Trouble::Busy;
    matches!(error, StorageError::Unavailable { trouble, .. } if *trouble == busy)
}

fn close(storage: &Storage) {
    RUNTIME.block_on(storage.close()).expect("closes");
}

#[test]
fn one_alone_or_many() {
    let Some(server) = postgres() else { return };
    let database = server.database("alone");
    let process = std::process::id();
    let many = [database.url(), database.socket_url()];
    let [near, nearer] = many.map(|url| Storage::new(open(&url, "octa")));
    let told = refused(alone(&database));
    let store = format!("postgres://127.0.0.1:{}/{}", server.port(), database.name());
    let [near_by, on_it] = ["at `127.0.0.1`", "on the server"];
    let expect = format!("the database `{store}` is in use by process {process} {near_by}");
    assert_eq!(told, format!("{expect}, process {process} {on_it}"));
    close(&nearer);
    assert_eq!(refused(alone(&database)), expect);
    close(&near);

    let one = RUNTIME.block_on(storage(alone(&database)));
    RUNTIME.block_on(set(&one, "k", "1"));
    assert_eq!(refused(PostgresConfig::new(database.url())), expect);
    assert_eq!(refused(alone(&database)), expect);
    // Another schema is another database.
    close(&Storage::new(open(&database.url(), "other")));
    close(&one);
    close(&Storage::new(open(&database.url(), "octa")));
}

/// Who is nobody special hears of the process, and not where it is.
#[test]
fn no_right_is_needed_for_it() {
    let Some(server) = postgres() else { return };
    let database = server.database("modest");
    let other = Storage::new(open(&database.url(), "octa"));
    database.sql("CREATE ROLE lonely LOGIN PASSWORD 'secret'");
    database.sql("GRANT USAGE ON SCHEMA octa TO lonely");
    database.sql("GRANT ALL ON ALL TABLES IN SCHEMA octa TO lonely");
    let lonely = || PostgresConfig::new(database.url_for("lonely")).password("secret");
    let told = refused(lonely().exclusive());
    let expect = format!("is in use by process {}", std::process::id());
    assert!(told.ends_with(&expect), "{told}");
    close(&other);
    let one = RUNTIME.block_on(storage(lonely().exclusive()));
    RUNTIME.block_on(set(&one, "k", "1"));
}

#[test]
fn who_has_it_alone_has_it_again_on_another_connection() {
    let Some(server) = postgres() else { return };
    let database = server.database("again");
    let proxy = Proxy::start(server.port());
    let config = PostgresConfig::new(database.url_through(&proxy)).exclusive();
    RUNTIME.block_on(async {
        let one = storage(config).await;
        set(&one, "k", "1").await;
        let connections = proxy.accepted();
        proxy.cut();
        set(&one, "k", "2").await;
        assert!(proxy.accepted() > connections);
        let other = Postgres::open(PostgresConfig::new(database.url())).await;
        let other = other.expect_err("it is in use");
        assert!(matches!(other, PostgresError::InUse { .. }), "{other:?}");
        set(&one, "k", "3").await;
    });
}

/// A kernel that was away for so long that another one took the database writes nothing in between.
#[test]
fn who_comes_back_waits_for_one_that_has_it_alone() {
    let Some(server) = postgres() else { return };
    let database = server.database("back");
    let proxy = Proxy::start(server.port());
    RUNTIME.block_on(async {
        let away = impatient(database.url_through(&proxy)).await;
        set(&away, "k", "1").await;
        proxy.hold();
        proxy.cut();
        let one = storage(alone(&database)).await;
        proxy.heal();
        // It may not have noticed yet that the server is there again.
        loop {
            let written = away.set("a", "k", json("2")).await;
            let error = written.expect_err("another has it alone");
            if is_busy(&error) {
                break;
            }
        }
        // Nor is it shown what is half replaced.
        assert_trouble(away.get("a", "k").await, Trouble::Busy);
        assert_trouble(away.usage().await, Trouble::Busy);
        let snapshot = away.adapter().snapshot().await;
        assert_trouble(snapshot.map(drop), Trouble::Busy);
        one.close().await.expect("closes");
        goes_on(&away).await;
        assert_eq!(value(&away, "k").await.as_deref(), Some("1"));
    });
}

/// Whoever has it alone is done in time.
#[test]
fn a_read_waits_for_one_that_has_it_alone() {
    let Some(server) = postgres() else { return };
    let database = server.database("wait");
    let proxy = Proxy::start(server.port());
    RUNTIME.block_on(async {
        let mut config = PostgresConfig::new(database.url_through(&proxy));
        config.patience = Duration::from_secs(60);
        let opened = Postgres::open(config).await.expect("opens");
        let shared = opened.shared.clone();
        let away = Storage::new(opened);
        set(&away, "k", "1").await;
        proxy.hold();
        proxy.cut();
        let one = storage(alone(&database)).await;
        proxy.heal();
        until(|| shared.busy().is_some()).await;
        let connections = proxy.accepted();
        let reading = tokio::spawn(async move { value(&away, "k").await });
        // Each attempt of the writer to have it back is a connection; none is one to read.
        until(|| proxy.accepted() >= connections + 2).await;
        assert!(!reading.is_finished());
        set(&one, "k", "2").await;
        one.close().await.expect("closes");
        assert_eq!(reading.await.expect("it ends well").as_deref(), Some("2"));
    });
}
