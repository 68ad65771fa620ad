//! What keeps a database from being opened, and what a user is told of it.

use octa_test_servers::postgres;

use super::super::{Postgres, PostgresConfig, PostgresError};
use super::{RUNTIME, Storage, json, open, set, value};

fn refused(config: PostgresConfig) -> PostgresError {
    let opened = RUNTIME.block_on(Postgres::open(config));
    opened.expect_err("the database is not opened")
}

#[track_caller]
fn check(error: &PostgresError, expect: &str, hint: &str) {
    assert_eq!(error.to_string(), expect);
    let found = error.hint().unwrap_or_default();
    assert!(found.contains(hint), "`{found}` does not tell `{hint}`");
    let shown = format!("{error:?}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn who_is_not_known_is_told_so() {
    let Some(server) = postgres() else { return };
    let database = server.database("guarded");
    database.sql("CREATE ROLE guarded LOGIN PASSWORD 'right secret'");
    let url = database.url_for("guarded");
    let store = format!("postgres://127.0.0.1:{}/{}", server.port(), database.name());
    let expect =
        format!("the PostgreSQL server of `{store}` refused the user `guarded` or the password");
    let wrong = refused(PostgresConfig::new(&url).password("wrong secret"));
    check(&wrong, &expect, "check the password");
    let without = format!(
        "the PostgreSQL server of `{store}` wants a password of the user `guarded`, and none is given"
    );
    check(
        &refused(PostgresConfig::new(&url)),
        &without,
        "beside the address in `[storage]`",
    );
    let nobody = refused(PostgresConfig::new(database.url_for("nobody")).password("secret"));
    let expect = expect.replace("guarded` or", "nobody` or");
    check(
        &nobody,
        &expect,
        "`pg_hba.conf` of the server says of `nobody`",
    );
}

#[test]
fn what_is_not_there_is_told() {
    let Some(server) = postgres() else { return };
    let missing = format!("postgres://postgres@127.0.0.1:{}/missing", server.port());
    let store = format!("postgres://127.0.0.1:{}/missing", server.port());
    check(
        &refused(PostgresConfig::new(missing)),
        &format!("the PostgreSQL server has no database for `{store}`"),
        "CREATE DATABASE \"missing\" OWNER \"postgres\"",
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    check(
        &refused(PostgresConfig::new(format!(
            "postgres://postgres@{address}/home"
        ))),
        &format!("the PostgreSQL server of `postgres://{address}/home` cannot be reached"),
        "runs and listens there",
    );
}

#[test]
fn what_a_newer_kernel_wrote_is_left_alone() {
    let Some(server) = postgres() else { return };
    let database = server.database("newer");
    drop(open(&database.url(), "octa"));
    database.sql("UPDATE octa.format SET number = 7");
    let found = refused(PostgresConfig::new(database.url()));
    let expect = format!(
        "the schema `octa` in `postgres://127.0.0.1:{}/{}` has format 7, this kernel reads formats up to 1",
        server.port(),
        database.name()
    );
    check(&found, &expect, "use the newer kernel");
    assert_eq!(database.sql("SELECT number FROM octa.format"), "7");
}

#[test]
fn another_encoding_is_refused() {
    let Some(server) = postgres() else { return };
    let create =
        "CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0";
    server.sql("postgres", create);
    let store = format!("127.0.0.1:{}/bytes", server.port());
    check(
        &refused(PostgresConfig::new(format!("postgres://postgres@{store}"))),
        &format!("the database `postgres://{store}` has the encoding `SQL_ASCII`, expected `UTF8`"),
        "ENCODING 'UTF8'",
    );
}

#[test]
fn nothing_is_sent_plain_that_was_to_be_encrypted() {
    let Some(server) = postgres() else { return };
    let database = server.database("plain");
    let store = format!("postgres://127.0.0.1:{}/{}", server.port(), database.name());
    let expect = format!("the connection to `{store}` cannot be encrypted as `sslmode` asks");
    let url = format!("{}?sslmode=require", database.url());
    check(&refused(PostgresConfig::new(url)), &expect, "ssl = on");
}

/// The statements that a hint tells are what helps, one after the other.
#[test]
fn a_user_needs_no_more_rights_than_those_named() {
    let Some(server) = postgres() else { return };
    let database = server.database("rights");
    database.sql("CREATE ROLE modest LOGIN PASSWORD 'secret'");
    let config = || PostgresConfig::new(database.url_for("modest")).password("secret");
    let missing = refused(config());
    let create = format!(
        "GRANT CREATE ON DATABASE \"{}\" TO \"modest\"",
        database.name()
    );
    check(&missing, &missing.to_string(), &create);

    // An owner makes the schema beforehand.
    drop(open(&database.url(), "octa"));
    let mut granted = Vec::new();
    let opened = loop {
        match RUNTIME.block_on(Postgres::open(config())) {
            Ok(opened) => break opened,
            Err(error @ PostgresError::MissingRight { .. }) => {
                let hint = error.hint().expect("a hint");
                let grant = hint
                    .strip_prefix("let an owner grant it: ")
                    .expect("a statement");
                assert!(
                    !granted.contains(&grant.to_owned()),
                    "`{grant}` does not help"
                );
                database.sql(grant);
                granted.push(grant.to_owned());
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert!(
        granted
            .iter()
            .all(|grant| !grant.contains("CREATE") && !grant.contains("OWNER"))
    );
    let storage = Storage::new(opened);
    RUNTIME.block_on(async {
        set(&storage, "k", "1").await;
        assert_eq!(value(&storage, "k").await.as_deref(), Some("1"));
        assert!(storage.delete("a", "k").await.expect("a delete answers"));
        let change = super::super::Change::new("b", "k", 90, Some(json("1")));
        let replicated = storage.adapter().replicate(&[change], 99).await;
        replicated.expect("the change is written");
        // Enough for what is kept for watches to be trimmed.
        for _ in 0..6 {
            let mut batch = super::super::Batch::new();
            for at in 0..1_000 {
                let key = format!("{at}");
                batch
                    .put("a", &key, super::super::super::Expect::Any, json("1"))
                    .expect("fits");
            }
            storage.apply(batch).await.expect("the batch is written");
        }
        storage.close().await.expect("closes");
    });
}

#[test]
fn names_may_be_anything_that_postgresql_takes() {
    let Some(server) = postgres() else { return };
    let database = server.database("names");
    let storage = Storage::new(open(&database.url(), "a \"quoted\" {schema}; --"));
    RUNTIME.block_on(async {
        set(&storage, "k", "1").await;
        assert_eq!(value(&storage, "k").await.as_deref(), Some("1"));
    });
    let long = "x".repeat(64);
    let found = refused(PostgresConfig::new(database.url()).schema(&long));
    let expect = format!(
        "the schema `{long}` has 64 bytes or a control character, expected 1 to 63 bytes without"
    );
    check(&found, &expect, "");
}

#[test]
fn many_that_open_at_once_migrate_once() {
    let Some(server) = postgres() else { return };
    let database = server.database("crowd");
    let opened = RUNTIME.block_on(async {
        let opening =
            (0..8).map(|_| tokio::spawn(Postgres::open(PostgresConfig::new(database.url()))));
        let mut opened = Vec::new();
        for one in opening.collect::<Vec<_>>() {
            opened.push(
                one.await
                    .expect("it ends well")
                    .expect("the database is opened"),
            );
        }
        opened
    });
    assert_eq!(opened.len(), 8);
    assert_eq!(database.sql("SELECT number FROM octa.format"), "1");
}
