//! What the writer remembers between connections.

use octa_test_servers::postgres;

use super::super::{Postgres, PostgresConfig};
use super::*;

/// Else a server that lets nobody do anything would be connected to without a pause.
#[tokio::test]
async fn a_connection_that_nothing_was_done_on_counts_as_none() {
    let Some(server) = postgres() else { return };
    let database = server.database("attempts");
    let config = PostgresConfig::new(database.url());
    let opened = Postgres::open(config.clone()).await;
    drop(opened.expect("the schema is made"));
    let server = Server::new(&config).expect("a valid address");
    let (name, shared) = ("octa 0 attempts".to_owned(), Shared::new(0));
    let session = Session::open(&server, &name).await.expect("connects");
    let mut writer = Writer::new(server, session, name, Arc::new(shared));
    writer.shared.watches.watch();
    for attempts in 1..=3 {
        writer.lost(None);
        writer.connect().await;
        assert!(writer.session.is_some());
        assert_eq!((writer.attempts, writer.is_behind), (attempts, true));
    }
    assert!(writer.catch_up().await.is_ok());
    assert_eq!((writer.attempts, writer.is_behind), (0, false));
}
