//! Builds that own something only one of them can: callers wait, and none fails.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use octa_kernel::{Config, ReloadKind, lifecycle::State};
use serde_json::{Value, json};

use super::stand::UNWATCHED;
use crate::{
    fixtures,
    home::{Home, Running, read, run},
};

/// A port that nobody listens at.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// The plugin `port` of this build, and its port.
async fn listening(build: &str) -> (Running, u16) {
    let port = free_port();
    let section = format!("{UNWATCHED}[plugins.port.config]\nport = {port}\n");
    let home = Home::with(&[]).config(&section);
    home.put("port", &read(&fixtures::library(build)));
    let running = home.start().await;
    running.check("port", State::Started, &[]);
    (running, port)
}

/// Reloads with another build while calls and events go on; answers what became of it, and the
/// builds that answered.
async fn reload(running: &Running, build: &str) -> (Result<ReloadKind, String>, Vec<Value>) {
    running.home.put("port", &read(&fixtures::library(build)));
    let calling = async {
        let mut by = Vec::new();
        for _ in 0..200 {
            running.publish("port.ping", json!(1)).await;
            by.push(running.call("port.who", Value::Null).await);
            tokio::task::yield_now().await;
        }
        by
    };
    let (reloaded, by) = tokio::join!(running.kernel.reload_plugin("port"), calling);
    let reloaded = reloaded.map(|reloaded| reloaded.kind);
    let answered = by.into_iter().map(|by| by.expect("no call fails"));
    (
        reloaded.map_err(|error| running.told(&error.0)),
        answered.collect(),
    )
}

/// Checks who answers, and that the port is taken.
async fn check_serving(running: &Running, port: u16, build: &str) {
    let who = running.call("port.who", Value::Null).await;
    assert_eq!(who, Ok(json!(build)));
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
}

#[test]
fn one_after_the_other() {
    run(async {
        let (running, port) = listening("reload-port-a").await;
        for build in ["reload-port-b", "reload-port-a", "reload-port-b"] {
            let (reloaded, by) = reload(&running, build).await;
            assert_eq!(reloaded, Ok(ReloadKind::Exclusive));
            assert!(
                by.iter()
                    .all(|by| by == "reload-port-a" || by == "reload-port-b")
            );
            check_serving(&running, port, build).await;
        }
        running.end().await;
    });
}

#[test]
fn the_old_one_comes_back_where_the_new_one_cannot_start() {
    run(async {
        let (running, port) = listening("reload-port-a").await;
        let (refused, by) = reload(&running, "reload-port-fails").await;
        assert_eq!(
            refused,
            Err("failed: `start` of plugin `port`: no port is good enough".to_owned())
        );
        assert!(by.iter().all(|by| by == "reload-port-a"));
        check_serving(&running, port, "reload-port-a").await;
        let (reloaded, _) = reload(&running, "reload-port-b").await;
        assert_eq!(reloaded, Ok(ReloadKind::Exclusive));
        check_serving(&running, port, "reload-port-b").await;
        running.end().await;
    });
}

#[test]
fn a_changed_section_is_applied() {
    run(async {
        let (running, before) = listening("reload-port-a").await;
        let port = free_port();
        let section = format!("{UNWATCHED}[plugins.port.config]\nport = {port}\n");
        let config = Config::parse(&section, "octa.toml").expect("a configuration");
        let applied = running.kernel.apply(config).await;
        assert_eq!(applied.plugins, ["port"]);
        assert_eq!(applied.problems, []);
        check_serving(&running, port, "reload-port-a").await;
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, before)).is_err());
        running.end().await;
    });
}
