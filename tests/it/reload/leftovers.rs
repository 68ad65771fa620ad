//! Builds that leave something behind when they are replaced: it is given back, or the old code
//! stays mapped and says why.

use std::fs;

use super::stand::{COUNTER, Stand, UNWATCHED};
use crate::{
    fixtures,
    home::{Home, run, until},
    logs,
};

/// Checks what a build that took over and was replaced leaves behind.
#[track_caller]
fn check(build: &str, expect: &[&str]) {
    run(async {
        let stand = Stand::of("reload-a").await;
        stand.succeed(build).await;
        stand.load.goes_on(20).await;
        let reloaded = stand.succeed("reload-b").await;
        // The first one goes in any case.
        until(|| {
            let retired = stand.running.plugin(COUNTER).retired;
            let causes: Vec<_> = retired
                .iter()
                .filter(|retired| retired.generation == reloaded.from)
                .flat_map(|retired| &retired.causes)
                .collect();
            causes == expect && retired.len() <= 1
        })
        .await;
        stand.end("reload-b").await;
    });
}

#[test]
fn a_thread() {
    check("reload-leaks-thread", &["1 thread still running"]);
}

#[test]
fn a_task() {
    check("reload-never-ends", &[]);
}

#[test]
fn a_payload() {
    check("reload-holds-payload", &[]);
}

#[test]
fn a_context() {
    check("reload-holds-context", &[]);
}

#[test]
fn a_future() {
    check("reload-holds-future", &[]);
}

#[test]
fn a_destructor() {
    let mark = fixtures::mark().with_extension("destructor");
    let _ = fs::remove_file(&mark);
    check("reload-has-destructor", &[]);
    assert!(mark.exists(), "it was unmapped without its destructor");
}

#[test]
fn a_thread_that_publishes() {
    check("reload-publishes-late", &[]);
    let refused = logs::lines_with("reload-publishes-late is refused");
    assert_eq!(refused, ["?"]);
}

#[test]
fn more_than_may_stay() {
    run(async {
        let home = Home::with(&[]).config(&format!("{UNWATCHED}kept_generations = 1\n"));
        let stand = Stand::over(home, "reload-leaks-thread").await;
        let retired = || stand.running.plugin(COUNTER).retired.len();
        stand.succeed("reload-leaks-thread").await;
        until(|| retired() == 1).await;
        stand.check_refused("?").await;
        assert_eq!(retired(), 1);
        stand.end("reload-leaks-thread").await;
    });
}
