//! Causes that have nothing to do with threads: signals, the linker, the program itself.

use octa_loader::{KeptCause, Unload};
use serde_json::json;

use crate::unload::stage::{Stage, check_kept, check_unmapped};

/// A real-time signal, which nothing here uses.
const SIGNAL: i32 = 40;

#[test]
fn a_signal_that_it_handles() {
    let live = Stage::new().live("handles-signal");
    live.call(0, &json!(SIGNAL));
    let generation = live.end();
    check_kept(&generation, &["handles signal 40"]);
    let stage = Stage::new();
    let other = stage.live("handles-signal");
    other.call(0, &json!(SIGNAL));
    check_unmapped(&generation);
    check_kept(&other.end(), &["handles signal 40"]);
}

#[test]
fn a_library_that_the_linker_keeps() {
    let generation = Stage::new().live("no-delete").end();
    check_kept(&generation, &["linked with `-z nodelete`"]);
    let Unload::Kept(causes) = generation.unload() else {
        panic!("it is kept");
    };
    assert!(causes.iter().all(KeptCause::is_final));
    assert_eq!(
        causes[0].hint().as_deref(),
        Some("build the plugin without `-z nodelete`")
    );
}

#[test]
fn a_function_whose_effects_are_not_seen() {
    let live = Stage::new().live("unseen-key");
    assert_eq!(live.touch(), 0);
    check_kept(
        &live.end(),
        &["uses `tss_create`, whose effects are not seen"],
    );
}

#[test]
fn a_library_that_somebody_else_holds() {
    let stage = Stage::new();
    let (live, other) = (stage.live("leaves-local"), stage.live("holds-library"));
    other.call(0, &json!(live.generation().staged_at()));
    live.touch();
    let generation = live.end();
    for _ in 0..2 {
        check_kept(&generation, &["closed, but still mapped"]);
    }
    check_unmapped(&other.end());
}
