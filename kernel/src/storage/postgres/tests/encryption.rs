//! `sslmode` means what it says, whatever the server offers.

use octa_test_servers::{Database, own_postgres};

use super::super::{Postgres, PostgresConfig, PostgresError};
use super::{RUNTIME, Storage, set};

/// Opens a database with this host and these parameters, and tells whether its connections are encrypted.
fn is_encrypted(
    database: &Database<'_>,
    host: &str,
    parameters: &str,
) -> Result<bool, PostgresError> {
    let url = database.url().replace("127.0.0.1", host);
    let config = PostgresConfig::new(format!("{url}?{parameters}"));
    let storage = Storage::new(RUNTIME.block_on(Postgres::open(config))?);
    RUNTIME.block_on(set(&storage, "k", "1"));
    let of_us = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name LIKE 'octa%' AND datname = current_database()";
    let is_encrypted = database.sql(of_us) == "t";
    RUNTIME.block_on(storage.close()).expect("closes");
    Ok(is_encrypted)
}

#[test]
fn encryption_is_what_was_asked_for() {
    let Some(server) = own_postgres() else { return };
    let certificate = server.encrypt("localhost");
    let database = server.database("encrypted");
    let verify = format!("sslmode=verify-full&sslrootcert={}", certificate.display());
    let check = |host, parameters, expect: Option<bool>| {
        let found = is_encrypted(&database, host, parameters);
        match (&found, expect) {
            (Ok(found), Some(expect)) if *found == expect => {}
            (Err(PostgresError::Tls { .. }), None) => {}
            _ => panic!("`{parameters}` at `{host}`: {found:?}"),
        }
    };
    check("127.0.0.1", "sslmode=disable", Some(false));
    check("127.0.0.1", "", Some(true));
    check("127.0.0.1", "sslmode=require", Some(true));
    check("localhost", &verify, Some(true));
    // The certificate is for another host.
    check("127.0.0.1", &verify, None);
    // It is not the one that is trusted.
    let trusted = std::fs::read(&certificate).expect("it is readable");
    let other = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(other.path(), trusted).expect("it is written");
    server.encrypt("localhost");
    let verify = format!("sslmode=verify-full&sslrootcert={}", other.path().display());
    check("localhost", &verify, None);
}

#[test]
fn certificates_that_cannot_be_read_are_named() {
    let url = "postgres://octa@localhost/octa?sslmode=verify-full&sslrootcert=/missing.pem";
    let refused = RUNTIME.block_on(Postgres::open(PostgresConfig::new(url)));
    let told = refused.expect_err("there is no such file").to_string();
    assert_eq!(
        told,
        "cannot read the certificates to trust from `/missing.pem`"
    );
}
