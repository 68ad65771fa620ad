//! The documentation of the protocol says what the code does.

use std::{fs, path::Path};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::*;
use crate::{Hello, NO_DEADLINE, PROTOCOL, Welcome, control};

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    fs::read_to_string(path).expect("the protocol is documented")
}

/// What stands under a heading, up to the next one.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let begin = format!("\n{heading}\n");
    let (_, rest) = document
        .split_once(&begin)
        .unwrap_or_else(|| panic!("no heading `{heading}`"));
    rest.split("\n#").next().unwrap_or(rest)
}

/// The first cells of each row of the first table of a section; what follows is prose.
fn rows(section: &str, cells: usize) -> Vec<Vec<&str>> {
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    rows.skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|row| row.split('|').skip(1).take(cells).map(str::trim).collect())
        .collect()
}

fn check_kinds(document: &str, heading: &str, kinds: impl Iterator<Item = Described>) {
    let expected: Vec<_> = kinds
        .map(|(number, name, fields)| {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, form)| format!("{name}: {form}"))
                .collect();
            vec![format!("{number:#04x}"), name.to_owned(), fields.join(", ")]
        })
        .collect();
    assert_eq!(rows(section(document, heading), 3), expected, "{heading}");
}

#[test]
fn every_kind_is_documented_as_it_is() {
    let (document, pieces) = (document(), golden::pieces());
    let to_worker = pieces.to_worker();
    let to_kernel = pieces.to_kernel();
    check_kinds(
        &document,
        "## Messages of the kernel",
        to_worker.iter().map(ToWorker::described),
    );
    check_kinds(
        &document,
        "## Messages of the worker",
        to_kernel.iter().map(ToKernel::described),
    );
}

#[test]
fn every_group_of_fields_is_documented_as_it_is() {
    let document = document();
    let check = |heading: &str, fields: &[(&str, &str)]| {
        let expected: Vec<_> = fields
            .iter()
            .map(|(name, form)| vec![*name, form])
            .collect();
        assert_eq!(rows(section(&document, heading), 2), expected, "{heading}");
    };
    check("### Envelope", Envelope::FIELDS);
    check("### Event", Event::FIELDS);
    check("### Answer", Answer::FIELDS);
}

#[test]
fn numbers_are_documented_as_they_are() {
    let document = document();
    let found = rows(section(&document, "### Controls"), 2);
    let control = |number: u32, name: &str| vec![format!("{number:#06x}"), name.to_owned()];
    let expected = [
        control(control::FREEZE, "FREEZE"),
        control(control::THAW, "THAW"),
    ];
    assert_eq!(found, expected);
    let most = format!("at most {FRAME_BYTES_MAX} ");
    assert!(section(&document, "## Frames").contains(&most), "{most}");
    let version = format!("This is version {PROTOCOL}.\n");
    assert!(
        section(&document, "## Versions").contains(&version),
        "{version}"
    );
    assert_eq!(NO_DEADLINE, u64::MAX, "all bits set");
}

/// That the example has every field there is, and no other.
fn check_example<T: Serialize + DeserializeOwned>(example: &str) {
    let found: Value = serde_json::from_str(example).expect("the example is JSON");
    let typed: T = serde_json::from_str(example).expect("the example has the fields");
    let expected = serde_json::to_value(typed).expect("it can be written again");
    assert_eq!(found, expected);
}

#[test]
fn the_documents_of_the_handshake_are_documented_as_they_are() {
    let document = document();
    let blocks = section(&document, "## The handshake").split("```");
    let examples: Vec<_> = blocks
        .filter_map(|block| block.strip_prefix("json\n"))
        .collect();
    let [hello, welcome] = examples[..] else {
        panic!("expected two examples, found {}", examples.len());
    };
    check_example::<Hello>(hello);
    check_example::<Welcome>(welcome);
}

/// The frames of the example: who sends it, and its bytes.
fn example(document: &str) -> Vec<(String, Vec<u8>)> {
    let text = section(document, "## An example");
    let block = text.split("```").nth(1).expect("there is a block");
    let block = block.strip_prefix("text\n").expect("it is plain text");
    let frames = block.split("\n\n").map(|frame| {
        let (title, lines) = frame.split_once('\n').expect("a title and bytes");
        let columns = lines.lines().filter_map(|line| line.split("  ").next());
        let bytes = columns.flat_map(str::split_whitespace);
        let bytes = bytes.map(|byte| u8::from_str_radix(byte, 16).expect("a byte in hex"));
        (title.to_owned(), bytes.collect())
    });
    frames.collect()
}

#[test]
fn the_example_is_what_is_sent() {
    let call = Envelope {
        remaining_nanos: 1_000_000_000,
        correlation: 42,
        caller: "cli",
        chain: "cli",
        ..Envelope::default()
    };
    let submit = Envelope {
        remaining_nanos: 999_000_000,
        caller: "lamps",
        ..call
    };
    let answer = |number, payload| Answer {
        number,
        payload,
        ..Answer::default()
    };
    let mut frames = vec![Vec::new(); 4];
    ToWorker::Call {
        id: 7,
        instance: 1,
        handler: 0,
        envelope: call,
        payload: br#""hall""#,
    }
    .encode(&mut frames[0]);
    ToKernel::Submit {
        instance: 1,
        number: 3,
        operation: 0x0301,
        flags: 0,
        argument: 0,
        target: "lamps",
        key: "hall",
        envelope: submit,
        payload: b"",
    }
    .encode(&mut frames[1]);
    ToWorker::Reply {
        instance: 1,
        operation: 3,
        answer: answer(12, b"true"),
    }
    .encode(&mut frames[2]);
    ToKernel::Answer {
        id: 7,
        answer: answer(0, br#"{"on":true}"#),
    }
    .encode(&mut frames[3]);
    let titles = [
        "kernel: Call",
        "worker: Submit",
        "kernel: Reply",
        "worker: Answer",
    ];
    let expected: Vec<_> = titles.map(str::to_owned).into_iter().zip(frames).collect();
    assert_eq!(example(&document()), expected);
}
