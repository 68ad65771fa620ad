//! Files that are no plugins, or none for here: each is one rejection, and the others run on.

use crate::{
    fixtures, forge,
    home::{Home, read, run},
};

/// Checks how a file beside a good plugin is rejected.
#[track_caller]
fn check(bytes: &[u8], expect: &str) {
    run(async {
        let home = Home::with(&[]);
        home.put("bad", bytes);
        let running = home.start().await;
        running.check_rejected(&[expect]);
        running.end().await;
    });
}

fn neighbour() -> Vec<u8> {
    read(&fixtures::library("neighbour"))
}

#[test]
fn a_text() {
    check(
        b"#!/bin/sh\necho hello\n",
        "rejected: file `HOME/plugins/bad.so` is not a library: expected an ELF shared \
                object, found a script (hint: build the plugin and copy the finished library \
                here, or remove this file)",
    );
}

#[test]
fn an_empty_file() {
    check(
        b"",
        "rejected: file `HOME/plugins/bad.so` is not a library: expected an ELF shared \
                object, found an empty file (hint: build the plugin and copy the finished \
                library here, or remove this file)",
    );
}

#[test]
fn a_truncated_library() {
    let library = neighbour();
    let whole = library.len();
    let expect = format!(
        "rejected: file `HOME/plugins/bad.so` is truncated: its ELF headers speak of {whole} bytes, \
         found {} (hint: copy it again: it did not arrive whole, or the copy is still under way)",
        whole / 2
    );
    check(&library[..whole / 2], &expect);
}

#[test]
fn a_library_of_which_only_the_header_is_there() {
    check(
        &neighbour()[..40],
        "rejected: file `HOME/plugins/bad.so` is truncated: its ELF headers speak of \
                64 bytes, found 40 (hint: copy it again: it did not arrive whole, or the copy \
                is still under way)",
    );
}

#[test]
fn a_library_for_another_architecture() {
    let mut library = neighbour();
    // `e_machine`: AArch64.
    library[18..20].copy_from_slice(&[0xB7, 0]);
    check(
        &library,
        "rejected: file `HOME/plugins/bad.so` is for another machine: found aarch64 \
                (ELF, 64-bit, little-endian), expected x86_64 (ELF, 64-bit, little-endian) \
                (hint: build the plugin for this machine, without `--target` or with the \
                right one)",
    );
}

#[test]
fn a_library_without_a_manifest() {
    check(
        &read(&fixtures::library("no-manifest")),
        "rejected: file `HOME/plugins/bad.so` is not a plugin: expected a manifest in \
                the library, found none (hint: if it is meant to be one, export it with \
                `#[tentacle]`, and keep the linker from removing the manifest)",
    );
}

#[test]
fn a_library_that_aborts() {
    check(
        &read(&fixtures::library("aborts")),
        "rejected: file `HOME/plugins/bad.so`: plugin `aborts` was built with panic \
                `abort`, expected `unwind` in this process (hint: remove `panic = \"abort\"` \
                from the profile that the plugin is built with)",
    );
}

#[test]
fn a_second_plugin_of_one_name() {
    run(async {
        let home = Home::with(&[]);
        home.put("zz-copy", &neighbour());
        let running = home.start().await;
        running.check_rejected(&[
            "conflict: file `HOME/plugins/neighbour.so` and file `HOME/plugins/zz-copy.so` \
                both hold a plugin named `neighbour`; the first one is used (hint: remove one \
                of them)",
        ]);
        running.end().await;
    });
}

#[test]
fn a_file_that_others_can_change() {
    use std::os::unix::fs::PermissionsExt as _;

    run(async {
        let home = Home::with(&[]);
        let path = home.put(
            "bad",
            &forge::manifest("neighbour", &[("neighbour", "nachbarin")]),
        );
        let open = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(&path, open).expect("permissions");
        let user = rustix::process::geteuid().as_raw();
        let running = home.start().await;
        running.check_rejected(&[&format!(
            "rejected: file `HOME/plugins/bad.so` can be changed by others: it belongs to user \
             {user} with mode 0666, expected user {user} or root and no write permission for group \
             and others (hint: `chmod go-w HOME/plugins/bad.so`)"
        )]);
        running.end().await;
    });
}

#[test]
fn all_at_once() {
    run(async {
        let home = Home::with(&["aborts", "no-manifest", "panics-in-start", "needs-missing"]);
        home.put("text", b"text");
        home.put("empty", b"");
        let running = home.start().await;
        let rejected = running.kernel.rejected();
        let names = rejected
            .iter()
            .filter_map(|file| file.path.file_name()?.to_str());
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["aborts.so", "empty.so", "no-manifest.so", "text.so"]
        );
        running.end().await;
    });
}
