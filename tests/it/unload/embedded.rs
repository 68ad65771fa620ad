//! A kernel inside of a shared library, where plugins are not led to what would see them.

use std::process::Command;

use crate::{fixtures, trees, unload::stage::Stage};

#[test]
fn a_loader_inside_of_a_shared_library_keeps_what_it_loads() {
    let (program, library) = trees::embedded_host();
    let stage = Stage::new();
    let mut embedder = Command::new(program);
    embedder.arg(library).arg(fixtures::library("joins-thread"));
    let output = embedder.arg(stage.path("data")).output();
    let output = output.expect("the program runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "this program does not see what plugins leave behind\n"
    );
    assert!(output.status.success());
}
