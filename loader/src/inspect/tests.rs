//! What inspection tells of good, bad and made-up files.

use std::error::Error;
use std::fs;

use serde_json::json;

use super::*;
use crate::fixture::{self, HOST_MACHINE};

#[cfg(target_os = "linux")]
mod linux;
mod mutations;

fn note() -> Vec<u8> {
    fixture::note(fixture::manifest().to_string().as_bytes())
}

fn elf_with(json: &str) -> Vec<u8> {
    fixture::elf(HOST_MACHINE, &fixture::note(json.as_bytes()))
}

/// The fault and its causes, as the face prints them after the path.
fn told(fault: &InspectFault) -> String {
    let mut told = fault.to_string();
    let mut cause = fault.source();
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}

/// Checks the beginning of what is told about a file of these bytes.
fn refuses(content: &[u8], expected: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = fixture::write(directory.path(), content);
    let error = inspect(&path, FileRules::default()).expect_err("no plugin");
    let told = told(&error.fault);
    assert!(
        told.starts_with(expected),
        "`{told}`, expected `{expected}`"
    );
    assert!(
        error
            .to_string()
            .starts_with(&format!("file `{}` ", path.display()))
    );
    assert!(error.hint().is_some(), "a hint for `{told}`");
}

#[test]
fn a_plugin_is_described() {
    let directory = tempfile::tempdir().expect("a directory");
    let inspection = fixture::inspected(directory.path());
    let bytes = fs::read(&inspection.path).expect("a file");
    assert_eq!(inspection.hash, ContentHash::of(&bytes));
    assert_eq!(inspection.size, bytes.len() as u64);
    assert_eq!(inspection.manifest.name, "echo");
}

#[test]
fn the_note_is_found_without_section_headers() {
    let mut bytes = fixture::plugin();
    bytes[fixture::E_SHOFF..][..8].fill(0);
    parse(&bytes).expect("found by program header");
}

#[test]
fn the_note_is_found_without_program_header() {
    let mut bytes = fixture::plugin();
    let header = fixture::PROGRAM_HEADERS + fixture::PROGRAM_HEADER;
    bytes[header..][..4].fill(0);
    parse(&bytes).expect("found by section");
    bytes[fixture::E_SHOFF..][..8].fill(0);
    let fault = parse(&bytes).expect_err("nothing leads to it");
    assert!(matches!(fault, InspectFault::NoManifest), "{fault}");
}

#[test]
fn other_formats_are_read_too() {
    let (machine, manifest) = parse(&fixture::macho(&note())).expect("a Mach-O plugin");
    assert_eq!(
        machine.to_string(),
        "aarch64 (Mach-O, 64-bit, little-endian)"
    );
    assert_eq!(manifest.name, "echo");
    let (machine, manifest) = parse(&fixture::pe(&note())).expect("a PE plugin");
    assert_eq!(machine.to_string(), "x86_64 (PE, 64-bit, little-endian)");
    assert_eq!(manifest.name, "echo");
}

#[test]
fn what_is_no_library_is_named() {
    let mut object = fixture::plugin();
    object[16] = 1;
    let mut program = fixture::plugin();
    program[16] = 2;
    let long_text = "б".repeat(4096);
    let cases: [(&[u8], &str); 9] = [
        (b"", "an empty file"),
        (b"not a library\n", "text"),
        (long_text.as_bytes(), "text"),
        (b"#!/bin/sh\n", "a script"),
        (b"!<arch>\nfoo.o", "a static library"),
        (
            b"\x7eELF\x02\x01\x01",
            "unknown data beginning with `7e 45 4c 46`",
        ),
        (b"\x01", "unknown data beginning with `01 00 00 00`"),
        (&object, "ELF data of another kind"),
        (&program, "a program in ELF format"),
    ];
    for (content, found) in cases {
        let expected = format!(
            "is not a library: expected {}, found {found}",
            Format::HOST.library()
        );
        refuses(content, &expected);
    }
}

#[test]
fn a_truncated_library_is_told() {
    let whole = fixture::plugin();
    for length in [5, 63, 64, 100, whole.len() / 2, whole.len() - 1] {
        refuses(&whole[..length], "is truncated: its ELF headers speak of ");
    }
    let whole = fixture::macho(&note());
    refuses(
        &whole[..whole.len() - 1],
        "is truncated: its Mach-O headers",
    );
    let whole = fixture::pe(&note());
    refuses(&whole[..whole.len() - 1], "is truncated: its PE headers");
}

/// Checks that a file with its end missing is waited for, at each of these lengths.
fn is_incomplete_at(whole: &[u8], lengths: impl Iterator<Item = usize>) {
    parse(whole).expect("a plugin");
    for length in lengths {
        let fault = parse(&whole[..length]).expect_err("no plugin");
        assert!(
            fault.is_incomplete(),
            "{length} of {}: {fault}",
            whole.len()
        );
    }
}

#[test]
fn whatever_is_cut_off_is_incomplete() {
    let mut without_sections = fixture::plugin();
    without_sections[fixture::E_SHOFF..][..8].fill(0);
    for whole in [fixture::plugin(), without_sections, fixture::macho(&note())] {
        is_incomplete_at(&whole, 0..whole.len());
    }
    // `MZ` alone is text.
    let whole = fixture::pe(&note());
    is_incomplete_at(&whole, 3..whole.len());
}

#[test]
fn the_symbols_of_a_pe_library_belong_to_it() {
    let mut whole = fixture::pe(&note());
    let end = whole.len();
    whole[64 + 12..][..8].copy_from_slice(&[end as u32, 2].map(u32::to_le_bytes).concat());
    whole.extend([0; 2 * 18]);
    is_incomplete_at(&whole, end..whole.len());
}

#[test]
fn what_is_whole_is_not_incomplete() {
    let other = fixture::elf(HOST_MACHINE, &[]);
    for content in [b"text".as_slice(), b"\x7eELF", b"\x7fEXE", &other] {
        let fault = parse(content).expect_err("no plugin");
        assert!(!fault.is_incomplete(), "{fault}");
    }
    // A linker that writes the header last has made a hole so far.
    assert!(parse(&[0; 4096]).expect_err("no plugin").is_incomplete());
}

#[test]
fn a_damaged_library_is_told() {
    let mut class = fixture::plugin();
    class[4] = 9;
    refuses(&class, "is damaged: expected a well-formed ELF file: ");
    let mut sizes = note();
    sizes[7] = 0x7f;
    refuses(
        &fixture::elf(HOST_MACHINE, &sizes),
        "is damaged: expected ELF notes where its headers lead",
    );
}

#[test]
fn a_library_without_a_manifest_is_no_plugin() {
    let other = [
        4, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, b'G', b'N', b'U', 0, 1, 2, 3, 4,
    ];
    let expected = "is not a plugin: expected a manifest in the library, found none";
    refuses(&fixture::elf(HOST_MACHINE, &other), expected);
    refuses(&fixture::elf(HOST_MACHINE, &[]), expected);
    let both = [other.as_slice(), &note()].concat();
    parse(&fixture::elf(HOST_MACHINE, &both)).expect("found behind another note");
}

#[test]
fn a_manifest_must_be_one_and_well_formed() {
    let two = [note(), note()].concat();
    refuses(
        &fixture::elf(HOST_MACHINE, &two),
        "holds 2 manifests, expected one",
    );
    let unusable = "has a manifest that cannot be used: ";
    let with = |field: &str, value| {
        let mut manifest = fixture::manifest();
        manifest[field] = value;
        manifest.to_string()
    };
    for (json, expected) in [
        (
            "{\"a\" 1}".to_owned(),
            "the manifest is not JSON: expected `:` at line 1 column 6",
        ),
        (
            with("manifest", json!("3.0")),
            "the manifest has format `3.0`, expected `1.x`",
        ),
        (
            with("nmae", json!("x")),
            "field `nmae` is unknown to manifest format `1.0`",
        ),
        (
            with("name", json!("Ekko")),
            "field `name` of the manifest is not as its format demands: plugin name `Ekko` has `E` at position 1",
        ),
        (
            " ".repeat(crate::MANIFEST_BYTES_MAX + 1),
            "the manifest is 1048577 bytes long, at most 1048576",
        ),
    ] {
        refuses(&elf_with(&json), &format!("{unusable}{expected}"));
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = fixture::write(directory.path(), b"");
    let file = fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .expect("a file");
    file.set_len(crate::FILE_BYTES_MAX + 1)
        .expect("a sparse file");
    let error = inspect(&path, FileRules::default()).expect_err("too large");
    let expected = "is too large: 536870913 bytes, at most 536870912 are allowed";
    assert_eq!(error.fault.to_string(), expected);
}

#[test]
fn a_directory_is_no_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let error = inspect(directory.path(), FileRules::default()).expect_err("a directory");
    assert_eq!(
        error.fault.to_string(),
        "is a directory, expected a regular file"
    );
}

#[test]
fn the_verdict_is_a_second_question() {
    let directory = tempfile::tempdir().expect("a directory");
    let inspection = Inspection {
        machine: Machine::HOST,
        ..fixture::inspected(directory.path())
    };
    let host = HostFacts::in_process(1);
    assert_eq!(inspection.verdict(&host), Ok(()));
    let check = |change: &dyn Fn(&mut Inspection), expected: &str| {
        let mut changed = inspection.clone();
        change(&mut changed);
        let refusal = changed.verdict(&host).expect_err("a refusal");
        assert!(refusal.to_string().contains(expected), "{refusal}");
        assert!(refusal.hint().is_some());
        refusal
    };
    check(
        &|changed| changed.manifest.abi.major = 3,
        "plugin `echo` speaks ABI 3.0, this host speaks ABI 1.x",
    );
    check(
        &|changed| changed.manifest.target = "x86_64-unknown-plan9".to_owned(),
        "plugin `echo` was built for `x86_64-unknown-plan9`, expected a target of ",
    );
    let other = Machine::elf(object::elf::EM_S390, 64, true);
    check(
        &|changed| changed.machine = other,
        "is for another machine: found s390x (ELF, 64-bit, big-endian), expected ",
    );
    let aborts = |changed: &mut Inspection| {
        changed.manifest.panic = crate::PanicStrategy::Abort;
    };
    check(
        &aborts,
        "plugin `echo` was built with panic `abort`, expected `unwind`",
    );
    let mut changed = inspection.clone();
    aborts(&mut changed);
    assert_eq!(changed.verdict(&HostFacts::child_process(1)), Ok(()));
}

#[test]
fn a_system_runs_its_targets() {
    let linux = System {
        os: "linux",
        environment: "gnu",
    };
    assert!(linux.runs("x86_64-unknown-linux-gnu"));
    assert!(linux.runs("armv7-unknown-linux-gnueabihf"));
    assert!(!linux.runs("x86_64-unknown-linux-musl"));
    assert!(!linux.runs("x86_64-pc-windows-gnu"));
    let mac = System {
        os: "darwin",
        environment: "",
    };
    assert!(mac.runs("aarch64-apple-darwin"));
    assert!(!mac.runs("aarch64-apple-ios"));
}
