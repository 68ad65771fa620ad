//! Manifests that cannot be used, and such that are newer than we are.

use octa_kernel::lifecycle::State;

use crate::{
    forge,
    home::{Home, run},
};

/// Checks how a provider with another manifest is rejected.
#[track_caller]
fn check(library: &[u8], expect: &str) {
    run(async {
        let home = Home::with(&[]);
        home.put("bad", library);
        let running = home.start().await;
        running.check_rejected(&[expect]);
        running.end().await;
    });
}

#[test]
fn no_json() {
    check(
        &forge::rewritten("desk", |_| "what is this?".to_owned()),
        "rejected: file `HOME/plugins/bad.so` has a manifest that cannot be used: the \
                manifest is not JSON: expected value at line 1 column 1 (hint: the file was \
                damaged, or its manifest was not written by the plugin API: build it again)",
    );
}

#[test]
fn a_flipped_bit() {
    let flipped = forge::rewritten("desk", |text| text.replacen("\"name\"", "\"name#", 1));
    check(
        &flipped,
        "rejected: file `HOME/plugins/bad.so` has a manifest that cannot be used: the \
                manifest is not JSON: expected `:` at line 1 column 27 (hint: the file was \
                damaged, or its manifest was not written by the plugin API: build it again)",
    );
}

#[test]
fn a_version_that_is_not_known() {
    check(
        &forge::manifest("desk", &[("\"manifest\":\"1.1\"", "\"manifest\":\"2.0\"")]),
        "rejected: file `HOME/plugins/bad.so` has a manifest that cannot be used: the \
                manifest has format `2.0`, expected `1.x` (hint: the plugin was built with a \
                newer plugin API: update this host, or build the plugin with the plugin API \
                of this host)",
    );
}

#[test]
fn unknown_fields() {
    let changes = [("\"needs\":", "\"neets\":"), ("\"call\":", "\"kall\":")];
    check(
        &forge::manifest("desk", &changes),
        "rejected: file `HOME/plugins/bad.so` has a manifest that cannot be used: \
                fields `neets`, `permissions.kall` are unknown to manifest format `1.1` \
                (hint: the plugin API writes the manifest by itself: build the plugin again \
                without editing it)",
    );
}

#[test]
fn a_field_of_the_wrong_type() {
    check(
        &forge::manifest("desk", &[("\"version\":\"0.1.0\"", "\"version\":0.1")]),
        "rejected: file `HOME/plugins/bad.so` has a manifest that cannot be used: \
                field `version` of the manifest is not as its format demands: invalid type: \
                floating point `0.1`, expected semver version at line 1 column 45 (hint: the \
                plugin API writes the manifest by itself: build the plugin again without \
                editing it)",
    );
}

#[test]
fn a_name_that_is_none() {
    check(
        &forge::manifest("desk", &[("\"name\":\"desk\"", "\"name\":\"De k\"")]),
        "rejected: file `HOME/plugins/bad.so` has a manifest that cannot be used: \
                field `name` of the manifest is not as its format demands: plugin name `De k` \
                has `D` at position 1, expected a lowercase letter at line 1 column 31 (hint: \
                the plugin API writes the manifest by itself: build the plugin again without \
                editing it)",
    );
}

#[test]
fn another_abi() {
    check(
        &forge::manifest("desk", &[("\"major\":1", "\"major\":2")]),
        "rejected: file `HOME/plugins/bad.so`: plugin `desk` speaks ABI 2.0, this host \
                speaks ABI 1.x (hint: update this host, or build the plugin with an older \
                plugin API)",
    );
}

#[test]
fn another_system() {
    let changes = [("Behaves well", "Behaves"), ("-linux-gnu", "-linux-musl")];
    check(
        &forge::manifest("desk", &changes),
        "rejected: file `HOME/plugins/bad.so`: plugin `desk` was built for \
                `x86_64-unknown-linux-musl`, expected a target of `linux-gnu` (hint: build \
                the plugin with a `--target` that ends in `linux-gnu`)",
    );
}

#[test]
fn a_newer_minor_version_may_have_fields_that_are_not_known() {
    run(async {
        let home = Home::with(&[]);
        let changes = [
            ("\"manifest\":\"1.1\"", "\"manifest\":\"1.7\""),
            ("\"needs\":", "\"neets\":"),
        ];
        home.put("desk", &forge::manifest("desk", &changes));
        let running = home.start().await;
        running.check("desk", State::Started, &[]);
        running.end().await;
    });
}
