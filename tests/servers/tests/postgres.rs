//! A server of PostgreSQL is really there, keeps what it has when it is killed, and goes with its process.

use octa_test_servers::{own_postgres, postgres};

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let Some(server) = own_postgres() else { return };
    let database = server.database("kept");
    database.sql("CREATE TABLE t(n int); INSERT INTO t VALUES (1), (2)");
    server.kill();
    server.restart().expect("starts again");
    assert_eq!(database.sql("SELECT sum(n), count(*) FROM t"), "3\t2");
    assert_eq!(database.sql("SHOW fsync"), "on");
    server.restart().expect("ends and starts again");
    assert_eq!(database.sql("SELECT count(*) FROM t"), "2");
}

#[test]
fn databases_of_one_server_are_apart() {
    let Some(server) = postgres() else { return };
    let [first, second] = [server.database("same"), server.database("same")];
    first.sql("CREATE TABLE t(n int)");
    second.sql("CREATE TABLE t(n int)");
    assert_ne!(first.url(), second.url());
}
