//! Connections that read, and are lost without a word.

use std::time::Duration;

use octa_test_servers::{Proxy, own_postgres, postgres};

use super::super::super::{Query, Trouble};
use super::super::PostgresConfig;
use super::{RUNTIME, assert_trouble, goes_on, impatient, json, set, storage, until, value};

/// What was asked on it before, and what is new to it.
#[test]
fn a_read_on_a_silent_connection_is_tried_on_another() {
    let Some(server) = postgres() else { return };
    let database = server.database("silent");
    let proxy = Proxy::start(server.port());
    let mut config = PostgresConfig::new(database.url_through(&proxy));
    config.statement_timeout = Duration::from_millis(500);
    config.connect_timeout = Duration::from_millis(500);
    config.patience = Duration::from_secs(60);
    RUNTIME.block_on(async {
        let storage = storage(config).await;
        set(&storage, "k", "1").await;
        assert_eq!(value(&storage, "k").await.as_deref(), Some("1"));
        proxy.stall();
        assert_eq!(value(&storage, "k").await.as_deref(), Some("1"));
        proxy.stall();
        let page = storage.list(Query::new("a", "").expect("a valid query"));
        assert_eq!(page.await.expect("a page").entries.len(), 1);
    });
}

/// All of them are cut off at once, as by a firewall that forgets: one read finds that out, not each.
#[test]
fn connections_that_are_silent_are_taken_out_together() {
    let Some(server) = postgres() else { return };
    let database = server.database("together");
    let proxy = Proxy::start(server.port());
    let mut config = PostgresConfig::new(database.url_through(&proxy));
    config.readers = 3;
    config.patience = Duration::from_secs(3);
    RUNTIME.block_on(async {
        let storage = storage(config).await;
        set(&storage, "k", "1").await;
        // That of the writer.
        until(|| proxy.open() == 1).await;
        proxy.hold();
        let begun = proxy.accepted();
        let heal = async {
            until(|| proxy.accepted() == begun + 3).await;
            proxy.heal();
        };
        let read = || value(&storage, "k");
        let (first, second, third, ()) = tokio::join!(read(), read(), read(), heal);
        assert_eq!(
            [first, second, third],
            [(); 3].map(|()| Some("1".to_owned()))
        );
        proxy.stall();
        assert_trouble(storage.get("a", "k").await, Trouble::Timeout);
        until(|| proxy.open() == 1).await;
        assert_eq!(read().await.as_deref(), Some("1"));
    });
}

/// The other one may be written to by nobody, as a standby that lags behind.
#[test]
fn of_several_servers_the_one_that_writes_is_read() {
    let Some((leading, lagging)) = own_postgres().zip(postgres()) else {
        return;
    };
    let url = |port| format!("postgres://postgres@127.0.0.1:{port}/hosts");
    for (server, value) in [(lagging, "\"old\""), (&leading, "\"new\"")] {
        server.sql("postgres", "CREATE DATABASE hosts");
        RUNTIME.block_on(async {
            let storage = impatient(url(server.port())).await;
            set(&storage, "k", value).await;
            storage.close().await.expect("closes");
        });
    }
    let only_read = "ALTER DATABASE hosts SET default_transaction_read_only = on";
    lagging.sql("postgres", only_read);
    RUNTIME.block_on(async {
        let both = format!("{},127.0.0.1:{}", leading.port(), lagging.port());
        let storage = impatient(format!("postgres://postgres@127.0.0.1:{both}/hosts")).await;
        assert_eq!(value(&storage, "k").await.as_deref(), Some("\"new\""));
        leading.kill();
        assert_trouble(storage.get("a", "k").await, Trouble::Unreachable);
        assert_trouble(
            storage.adapter().snapshot().await.map(drop),
            Trouble::Unreachable,
        );
        let written = storage.set("a", "k", json("0")).await;
        assert_trouble(written, Trouble::Unreachable);
        leading.restart().expect("starts again");
        goes_on(&storage).await;
        assert_eq!(value(&storage, "k").await.as_deref(), Some("\"new\""));
    });
}
