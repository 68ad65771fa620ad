//! Holds the ABI to its own rules: a committed layout, and a full description of each function.

#![expect(elided_lifetimes_in_paths, reason = "a macro over the names of types")]

use std::{env, fmt::Write, fs, mem::offset_of, path::PathBuf};

use octa_plugin_abi as abi;

macro_rules! layout {
    ($($type:ident { $($field:ident),* $(,)? })*) => {{
        let mut text = String::new();
        $(
            let (size, align) = (size_of::<abi::$type>(), align_of::<abi::$type>());
            writeln!(text, "{} size {size} align {align}", stringify!($type)).expect("a String takes it");
            $(writeln!(text, "  {:>3} {}", offset_of!(abi::$type, $field), stringify!($field)).expect("a String takes it");)*
        )*
        text
    }};
}

fn layout() -> String {
    layout! {
        Buffer { data, length, owner }
        BufferOwner { functions, capacity }
        BufferFunctions { retain, release, reserve }
        Bytes { bytes, owner }
        Envelope { remaining_nanos, correlation_high, correlation_low, attempt, content_type, caller, chain, trace, routing_key, idempotency_key, headers }
        Reply { code, content_type, number, payload, headers }
        Event { id, sequence, time, correlation_high, correlation_low, attempt, content_type, topic, source, payload, headers }
        Waker { head }
        WakerHead { functions }
        WakerFunctions { retain, wake, release }
        Slot { data, size, align }
        Future { data, poll, drop }
        Host { data, functions }
        HostFunctions { retain, release, buffer, submit, poll, cancel, spawn, log }
        Request { operation, flags, number, target, key, payload, envelope }
        LogRecord { level, line, target, message, file, headers }
        CreateRequest { host, log_level, flags, name, config, headers }
        PluginFunctions { create, destroy, call, deliver, control }
        Root { plugin }
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Data types never change; tables change only by functions at the end. Whoever changes this
/// file also changes the ABI's version and CHANGELOG. `OCTA_BLESS=1` writes it anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "the one switch of this test")]
fn layout_is_the_committed_one() {
    let file = folder().join("layout.txt");
    if env::var_os("OCTA_BLESS").is_some() {
        fs::write(&file, layout()).expect("the source folder is writable");
    }
    let committed = fs::read_to_string(&file).expect("layout.txt is committed");
    assert_eq!(layout(), committed, "the layout of the ABI changed");
}

#[test]
fn every_function_says_who_when_where_and_whose() {
    let mut functions = 0;
    for entry in fs::read_dir(folder().join("src")).expect("the source is there") {
        let path = entry.expect("the source is readable").path();
        let text = fs::read_to_string(&path).expect("the source is text");
        functions += check_tags(&path.display().to_string(), &text);
    }
    assert_eq!(functions, 21, "a function was added or lost: count it here");
}

/// Counts the function fields of a file, and fails at one whose description lacks a tag.
fn check_tags(file: &str, text: &str) -> usize {
    let mut described = String::new();
    let mut functions = 0;
    for line in text.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("///") {
            described.push_str(words);
        } else if line.contains("extern \"C\" fn(") {
            functions += 1;
            for tag in ["**who**", "**when**", "**where**", "**whose**"] {
                assert!(described.contains(tag), "{file}: `{line}` lacks {tag}");
            }
            described.clear();
        } else if !line.starts_with("#[") && !line.ends_with(':') {
            described.clear();
        }
    }
    functions
}
