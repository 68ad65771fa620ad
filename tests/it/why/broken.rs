//! Plugins that broke down, and whether they come back.

use octa_kernel::lifecycle::State;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use super::{check, never};
use crate::{
    forge,
    home::{Home, run, until},
};

#[test]
fn a_panic() {
    run(async {
        let home = Home::with(&["panics-in-start"]).config(&never("panics-in-start"));
        let running = home.start().await;
        check(
            &running,
            "panics-in-start",
            "failed/panicked",
            "\
`panics-in-start` 0.1.0 is failed
  `start` of plugin `panics-in-start`: panicked: no start today (at zoo/panics-in-start/src/lib.rs:11:9)
  it is not started again by itself: its restart policy is `never`
    hint: `octa start panics-in-start` tries it again",
        );
        running.end().await;
    });
}

#[test]
fn restarts_that_are_to_come() {
    run(async {
        let toml = "[plugins.fails-in-start.restart]\nbackoff = \"10m\"\n";
        let running = Home::with(&["fails-in-start"]).config(toml).start().await;
        check(
            &running,
            "fails-in-start",
            "failed/restart-scheduled failed/error",
            "\
`fails-in-start` 0.1.0 is failed
  `start` of plugin `fails-in-start`: the cupboard is bare
    hint: fill the cupboard
  it is started again by itself; restarts spent: 1 of 5",
        );
        running.end().await;
    });
}

#[test]
fn no_restarts_are_left() {
    run(async {
        let toml = "[plugins.fails-in-start.restart]\nbudget = 0\n";
        let running = Home::with(&["fails-in-start"]).config(toml).start().await;
        check(
            &running,
            "fails-in-start",
            "quarantined/budget-spent",
            "\
`fails-in-start` 0.1.0 is quarantined
  plugin `fails-in-start` failed 1 times within 0ns, the last time with: `start` of plugin `fails-in-start`: the cupboard is bare
    hint: `octa start fails-in-start` tries it again, and so does another file
    `start` of plugin `fails-in-start`: the cupboard is bare",
        );
        running.end().await;
    });
}

#[test]
fn no_restart_would_help() {
    run(async {
        let running = Home::with(&["missing-symbol"]).start().await;
        check(
            &running,
            "missing-symbol",
            "failed/restart-useless failed/not-loadable",
            MISSING_SYMBOL,
        );
        running.end().await;
    });
}

const MISSING_SYMBOL: &str = "\
`missing-symbol` 0.1.0 is failed
  cannot open the library of plugin `missing-symbol`: dlopen failed: HOME/data/staged/…: undefined symbol: octa_function_that_no_library_has
    hint: build the plugin on a system no newer than this one, and ship the libraries it needs
  it is not started again by itself, since the same would happen
    hint: another file or another configuration of it is tried at once";

#[test]
fn a_handler_that_keeps_its_thread() {
    run(async {
        let toml = "[kernel]\nstuck_after = \"1ms\"\nstop_deadline = \"50ms\"\n";
        let home = Home::with(&[]).config(toml);
        let renamed = [("waits-at-file", "waits-for-why")];
        home.put("waits", &forge::manifest("waits-at-file", &renamed));
        let pipe = home.root().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
        let running = home.start().await;
        running.publish("waits-for-why.in", json!(pipe)).await;
        let why = || running.kernel.why("waits-for-why").expect("it is known");
        let is_at_rest = || !super::holds(&why(), None, "quarantined/under-way");
        until(|| running.state("waits-for-why") == State::Quarantined && is_at_rest()).await;
        check(
            &running,
            "waits-for-why",
            "quarantined/stuck quarantined/last-line quarantined/blocking quarantined/blocked-at",
            STUCK,
        );
        std::fs::write(pipe, "").expect("somebody reads");
        running.end().await;
    });
}

const STUCK: &str = "\
`waits-for-why` 0.1.0 is quarantined
  plugin `waits-for-why`: the handler of events on `waits-for-why.in` blocks its thread for more than 1ms
    hint: `octa start waits-for-why` tries it again, and so does another file
    the thread `octa-pool` (…) in the handler of events on `waits-for-why.in`
    in `waits_at_file::read_through`, waiting in the system call `openat`
  the handler of events on `waits-for-why.in` keeps the thread `octa-pool`
    it was in `waits_at_file::read_through`, waiting in the system call `openat`";
