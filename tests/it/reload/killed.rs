//! The program ended in the middle of a reload, step by step: it comes back with the old build or
//! with the new one, and with nothing between.

use serde_json::Value;

use super::stand::{COUNTER, put};
use crate::{
    home::{Home, run},
    program::{Serving, octa},
};

/// Short, since a build that hangs is tried again after a restart.
const CONFIG: &str = "[kernel]\nstart_deadline = \"3s\"\n";

/// Waits until the counter of this build serves.
async fn served_by(serving: &Serving, build: &str) {
    serving.until(COUNTER, "started").await;
    loop {
        let counted = octa(&serving.home, &["call", "counter.get", "null"]);
        let answer = serde_json::from_str(&counted.stdout).unwrap_or(Value::Null);
        if answer["by"] == build {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Kills the program as soon as one of two builds hangs in a reload, and checks which of them
/// serves after a restart.
#[track_caller]
fn check(old: &str, new: &str, hanging: &str, expect: &str) {
    run(async {
        let home = Home::with(&[]).config(CONFIG);
        put(&home, old);
        let serving = Serving::begin(home).await;
        served_by(&serving, old).await;
        put(&serving.home, new);
        serving.told(&format!("{hanging} blocks for ever")).await;
        let serving = Serving::begin(serving.kill()).await;
        served_by(&serving, expect).await;
        serving.interrupt();
    });
}

#[test]
fn in_create() {
    let hanging = "reload-hangs-in-create";
    check("reload-a", hanging, hanging, "reload-a");
}

#[test]
fn in_save() {
    let hanging = "reload-hangs-in-save";
    check(hanging, "reload-b", hanging, "reload-b");
}

#[test]
fn in_restore() {
    let hanging = "reload-hangs-in-restore";
    // Nothing is restored after a restart.
    check("reload-a", hanging, hanging, hanging);
}

#[test]
fn in_start() {
    let hanging = "reload-hangs-in-start";
    check("reload-a", hanging, hanging, "reload-a");
}

#[test]
fn in_stop() {
    let hanging = "reload-hangs-in-stop";
    check(hanging, "reload-b", hanging, "reload-b");
}

/// Nothing inside a process survives its end: a build that ends it ends everything, and what can
/// be asked for is that a better one finds everything in order.
#[test]
fn by_the_build_itself() {
    run(async {
        let home = Home::with(&[]).config(CONFIG);
        put(&home, "reload-a");
        let serving = Serving::begin(home).await;
        served_by(&serving, "reload-a").await;
        put(&serving.home, "reload-exits");
        let (code, home) = serving.ended().await;
        assert_eq!(code, Some(7));
        put(&home, "reload-b");
        let serving = Serving::begin(home).await;
        served_by(&serving, "reload-b").await;
        serving.interrupt();
    });
}
