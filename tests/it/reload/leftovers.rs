//! Builds that leave something behind when they are replaced: it is given back, or the old code
//! stays mapped and says why.

use std::fs;

use octa_kernel::RetiredStatus;

use super::stand::{COUNTER, Stand, UNWATCHED};
use crate::{
    fixtures,
    home::{Home, run, until},
};

/// Checks what a build that took over and was replaced leaves behind.
#[track_caller]
fn check(build: &str, expect: &[&str]) {
    run(async {
        let stand = Stand::of("reload-a").await;
        stand.succeed(build).await;
        stand.load.goes_on(20).await;
        let reloaded = stand.succeed("reload-b").await;
        let number = reloaded.from.number;
        until(|| {
            let retired = stand.running.plugin(COUNTER).retired;
            let is_told = |cause: &&str| retired.iter().any(|it| is_kept(it, number, cause));
            // The first one goes in any case.
            expect.iter().all(is_told) && retired.len() == usize::from(!expect.is_empty())
        })
        .await;
        stand.end("reload-b").await;
    });
}

fn is_kept(retired: &RetiredStatus, number: u64, cause: &str) -> bool {
    retired.generation.number == number && retired.causes.iter().any(|it| it == cause)
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
}

#[test]
fn more_than_may_stay() {
    run(async {
        let home = Home::with(&[]).config(&format!("{UNWATCHED}kept_generations = 1\n"));
        let stand = Stand::over(home, "reload-leaks-thread").await;
        let retired = || stand.running.plugin(COUNTER).retired.len();
        stand.succeed("reload-leaks-thread").await;
        until(|| retired() == 1).await;
        let told = stand.reload().await.expect_err("there are too many");
        let expect = "too-large: generations that have ended are still mapped: 1, and no more than \
                      1 may be; the last is generation 1 of plugin `counter`: ";
        assert!(told.starts_with(expect), "{told}");
        assert_eq!(retired(), 1);
        stand.end("reload-leaks-thread").await;
    });
}
