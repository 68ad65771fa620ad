//! A whole kernel whose storage is on a PostgreSQL server.

use octa_kernel::storage::Since;
use octa_test_servers::{Database, own_postgres, postgres};
use serde_json::json;

use crate::home::{Home, run};
use crate::program::octa;

fn home(database: &Database<'_>) -> Home {
    Home::with(&["desk"]).config(&toml(&database.url()))
}

fn toml(url: &str) -> String {
    format!("[storage]\nadapter = \"postgres\"\nurl = {url:?}\n")
}

#[test]
fn what_a_plugin_writes_is_there_for_another_kernel() {
    let Some(server) = postgres() else { return };
    let database = server.database("kernels");
    run(async {
        let first = home(&database).start().await;
        let second = home(&database).start().await;
        let watched = second.kernel.storage();
        let now = watched
            .changes(Since::all(None))
            .await
            .expect("a place")
            .next;
        let steps = first.call("desk.storage", json!(null)).await;
        steps.expect("it writes");
        let since = Since::new("desk", "c", Some(now)).expect("valid names");
        let told = watched.changes(since).await.expect("changes are told");
        assert_eq!(told.changes[0].value.as_deref(), Some(&b"3"[..]));
        let found = second.kernel.storage().get("desk", "c").await;
        let found = found.expect("storage is open").expect("it is there");
        assert_eq!(found.value, b"3"[..].into());
        first.end().await;
        second.end().await;
    });
}

#[test]
fn a_plugin_does_not_notice_that_the_server_was_killed() {
    let Some(server) = own_postgres() else { return };
    let database = server.database("killed");
    run(async {
        let running = home(&database).start().await;
        server.kill();
        let call = running.call_aside("desk.storage", json!(null));
        let restarting = server.restart();
        restarting.expect("it starts again");
        let steps = call.await.expect("the task ends well");
        steps.expect("it writes");
        let found = running.kernel.storage().get("desk", "c").await;
        assert!(found.expect("storage is open").is_some());
        running.end().await;
    });
}

#[test]
fn a_kernel_says_why_it_has_no_database() {
    let Some(server) = postgres() else { return };
    let database = server.database("refused");
    database.sql("CREATE ROLE gardener LOGIN PASSWORD 'right secret'");
    let mut config = toml(&database.url_for("gardener"));
    config.push_str("password = \"wrong secret\"\n");
    let home = Home::empty().config(&config);
    let error = home.builder().build().expect_err("there is no storage");
    let expect = format!(
        "the PostgreSQL server of `postgres://127.0.0.1:{}/{}` refused the user `gardener` or the password",
        server.port(),
        database.name()
    );
    let told = std::iter::successors(Some(&error as &dyn std::error::Error), |it| it.source());
    let told: Vec<_> = told.map(ToString::to_string).collect();
    assert!(told.iter().any(|words| words.contains(&expect)), "{told:?}");
    assert!(!format!("{told:?} {error:?}").contains("wrong secret"));
}

/// What is to be replaced as a whole is not replaced under a kernel that is somewhere else.
#[test]
fn a_database_that_a_kernel_elsewhere_uses_is_not_replaced() {
    let Some(server) = postgres() else { return };
    let database = server.database("elsewhere");
    run(async {
        let running = home(&database).start().await;
        let steps = running.call("desk.storage", json!(null)).await;
        steps.expect("it writes");

        let elsewhere = Home::empty();
        let path = |name: &str| elsewhere.root().join(name).display().to_string();
        let (config, backup, data) = (path("octa.toml"), path("home.bak"), path(""));
        std::fs::write(&config, toml(&database.url())).expect("a file");
        let octa = |arguments: &[&str]| {
            let named = ["--data", &data, "--config", &config];
            octa(&elsewhere, &[&["storage"], arguments, &named].concat())
        };
        let backed_up = octa(&["backup", &backup]);
        assert_eq!(backed_up.code, 0, "{backed_up:?}");
        let expect = format!(
            "error: the database `postgres://127.0.0.1:{}/{}` is in use by process {} at `127.0.0.1`\n\
             hint: stop what runs there, or wait until it is done; to end the connection of one that is \
             gone: SELECT pg_terminate_backend(",
            server.port(),
            database.name(),
            std::process::id()
        );
        let (from, to) = (format!("sqlite:{backup}"), database.url());
        for replacing in [
            ["restore", &backup, "--force"].as_slice(),
            &["migrate", "--from", &from, "--to", &to],
        ] {
            let refused = octa(replacing);
            assert_eq!(refused.code, 3, "{refused:?}");
            assert!(refused.stderr.starts_with(&expect), "{refused:?}");
        }
        let found = running.kernel.storage().get("desk", "c").await;
        assert!(found.expect("storage is open").is_some());
        running.end().await;
        let restored = octa(&["restore", &backup, "--force"]);
        assert_eq!(restored.code, 0, "{restored:?}");
    });
}
