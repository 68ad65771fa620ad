//! What the writer remembers between connections.

use std::time::Duration;

use octa_plugin_api::Payload;
use octa_test_servers::postgres;

use super::super::super::{Expect, Storage};
use super::super::{Postgres, PostgresConfig};
use super::*;

async fn writer(config: &PostgresConfig) -> Writer {
    let server = Server::new(config).expect("a valid address");
    let (name, shared) = ("octa 0 test".to_owned(), Shared::new(0));
    let session = Session::open(&server, &name).await.expect("connects");
    let writer = Writer::new(server, session, name, Arc::new(shared));
    writer.shared.watches.watch();
    writer
}

/// Else a server that lets nobody do anything would be connected to without a pause.
#[tokio::test]
async fn a_connection_that_nothing_was_done_on_counts_as_none() {
    let Some(server) = postgres() else { return };
    let database = server.database("attempts");
    let config = PostgresConfig::new(database.url());
    let opened = Postgres::open(config.clone()).await;
    drop(opened.expect("the schema is made"));
    let mut writer = writer(&config).await;
    for attempts in 1..=3 {
        writer.lost(None);
        writer.connect().await;
        assert!(writer.session.is_some());
        assert_eq!((writer.attempts, writer.is_behind), (attempts, true));
    }
    assert!(writer.catch_up().await.is_ok());
    assert_eq!((writer.attempts, writer.is_behind), (0, false));
}

/// The first write behind what others wrote finds that out in its transaction, which has ended then.
#[tokio::test]
async fn a_look_that_is_refused_refuses_no_write() {
    let Some(server) = postgres() else { return };
    let database = server.database("look");
    let opened = Postgres::open(PostgresConfig::new(database.url())).await;
    let other = Storage::new(opened.expect("the schema is made"));
    database.sql("CREATE ROLE looks LOGIN PASSWORD 'secret'");
    database.sql("GRANT USAGE ON SCHEMA octa TO looks");
    database.sql("GRANT ALL ON ALL TABLES IN SCHEMA octa TO looks");
    let config = PostgresConfig::new(database.url_for("looks")).password("secret");
    let mut writer = writer(&config).await;
    let payload = || Payload::from(&b"1"[..]);
    let before = other.set("a", "k", payload()).await;
    let before = before.expect("a value is written");
    database.sql("REVOKE SELECT ON octa.changes FROM looks");
    let mut batch = Batch::new();
    let put = batch.put("a", "k", Expect::Version(before), payload());
    put.expect("a valid batch");
    let (reply, answer) = Reply::until(Instant::now() + Duration::from_secs(600));
    writer
        .serve(vec![(batch, Ticket::new(reply, Arc::default()))])
        .await;
    let outcomes = answer.await.expect("an answer");
    let outcomes = outcomes.expect("the batch is written");
    assert_eq!(outcomes[0].version(), Some(before + 1));
    // More than once, where the server is slow to answer.
    assert!(writer.refusals > 0, "the look was refused");
    assert_eq!(writer.shared.watches.seen(), before + 1);
}

/// All of a group is told at once, and kept with it: who watches must not miss the first of it.
#[tokio::test]
async fn a_group_of_large_batches_is_small() {
    let Some(server) = postgres() else { return };
    let database = server.database("groups");
    let config = PostgresConfig::new(database.url());
    let opened = Postgres::open(config.clone()).await;
    drop(opened.expect("the schema is made"));
    let mut writer = writer(&config).await;
    let (queue, mut jobs) = mpsc::channel(32);
    for _ in 0..32 {
        let mut batch = Batch::new();
        for at in 0..1_000 {
            let put = batch.put("a", &at.to_string(), Expect::Any, &b"1"[..]);
            put.expect("a valid write");
        }
        let (reply, _) = Reply::until(Instant::now() + Duration::from_secs(600));
        let job = Job::Apply(batch, Ticket::new(reply, Arc::default()));
        queue.try_send(job).expect("there is room");
    }
    let mut gathered = 0;
    while let Ok(Job::Apply(batch, ticket)) = jobs.try_recv() {
        let group = writer.gather((batch, ticket), &mut jobs);
        assert!(group.len() * 1_000 <= KEPT_CHANGES / 2, "{}", group.len());
        gathered += group.len();
    }
    assert_eq!(gathered, 32);
}
