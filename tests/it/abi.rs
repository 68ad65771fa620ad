//! Plugins and hosts of other ages, layouts and compilers: what must meet does, what must not is
//! refused.

use std::{fs, path::Path, process::Command};

use octa_kernel::lifecycle::State;
use serde_json::json;

use crate::{
    fixtures,
    home::{Home, read, run},
    trees,
};

/// Checks that the desk of this library works, all of it.
fn check_works(library: &Path, name: &'static str) {
    run(async {
        let home = Home::with(&[]);
        home.put(name, &read(library));
        let running = home.start().await;
        running.check(name, State::Started, &[]);
        let heard = running.call(&format!("{name}.listen"), json!(null)).await;
        assert_eq!(heard, Ok(json!([1, format!("{name}.said"), name, "hello"])));
        let steps = running
            .call(&format!("{name}.storage"), json!(null))
            .await
            .expect("it works");
        assert_eq!(steps[4], 11);
        running.end().await;
    });
}

#[test]
fn a_plugin_whose_types_are_laid_out_at_random() {
    check_works(&fixtures::shuffled_library("desk"), "desk");
}

#[test]
fn a_plugin_of_another_compiler() {
    if let Some(library) = fixtures::foreign_library("desk") {
        check_works(&library, "desk");
    }
}

#[test]
fn a_newer_plugin() {
    check_works(trees::newer_plugin(), "newer");
}

#[test]
fn a_newer_host() {
    let host = trees::newer_host();
    let home = Home::with(&[]);
    fs::create_dir(home.data()).expect("a data directory");
    let older = home.put("older", &read(&fixtures::library("relay")));
    let input = r#"{"capability":"some.thing","input":"hello"}"#;
    let output = Command::new(&host)
        .arg(older)
        .arg(home.data())
        .arg(input)
        .output();
    let output = output.expect("the host runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "1.1 1.0 \"hello\"\n"
    );
}

#[test]
fn a_plugin_that_is_laid_out_otherwise() {
    run(async {
        let home = Home::with(&[]);
        home.put("grown", &read(&trees::grown_plugin()));
        let running = home.start().await;
        let fingerprint = octa_plugin_abi::FINGERPRINT;
        let expect = format!(
            "rejected: plugin `grown` speaks ABI 1.0 (fingerprint {fingerprint}), this host 1.0: \
             `CreateRequest<'a>`: size 88, expected 80\n\
             `CreateRequest<'a>`: number of fields 7, expected 6 \
             (hint: rebuild the plugin against octa-plugin-api with ABI 1.0)"
        );
        running.check("grown", State::Failed, &[&expect]);
        running.end().await;
    });
}
