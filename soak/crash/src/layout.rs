//! Where the writers write, and what: worker and checker agree here.

use serde_json::{Value, json};

use crate::word::Id;

/// Where most is written.
pub(crate) const NAMESPACE: &str = "crash";
/// Where a part of each batch is written.
pub(crate) const BESIDE: &str = "crash-beside";
/// The stream of facts.
pub(crate) const STREAM: &str = "facts";
/// Who reads the facts in their order.
pub(crate) const CONSUMER: &str = "reader";
/// What the events of facts are published on.
pub(crate) const TOPIC: &str = "crash.fact";

/// How many tasks write at the same time.
pub(crate) const WRITERS: u32 = 8;
/// The keys that each writer has for itself.
pub(crate) const SLOTS: u32 = 12;
/// The counters that all share.
pub(crate) const COUNTERS: u32 = 3;
/// The keys that each batch writes.
pub(crate) const TOGETHER: u32 = 6;
/// The parts that a gathered fact has.
pub(crate) const PARTS: [&str; 3] = ["first", "second", "third"];

/// The bytes that most values have beside what is told by them; a few are larger.
const FILLER: usize = 60;
const LARGE_FILLER: usize = 9_000;

pub(crate) fn slot(writer: u32, slot: u32) -> String {
    format!("set/{writer}/{slot}")
}

pub(crate) fn counter(number: u32) -> String {
    format!("counter/{number}")
}

/// What the keys of a writer's batches begin with.
pub(crate) fn together(writer: u32) -> String {
    format!("batch/{writer}/")
}

/// One of the keys of a writer's batches, and its namespace.
pub(crate) fn member(writer: u32, number: u32) -> (&'static str, String) {
    let namespace = [NAMESPACE, BESIDE][number as usize % 2];
    (namespace, format!("{}{number}", together(writer)))
}

/// What the keys of a writer's list begin with.
pub(crate) fn list(writer: u32) -> String {
    format!("list/{writer}/")
}

/// What a write leaves behind.
pub(crate) fn value(id: Id) -> Value {
    let bytes = match id.serial % 16 {
        0 => LARGE_FILLER,
        _ => FILLER,
    };
    json!({ "by": id.to_string(), "filler": "x".repeat(bytes) })
}

/// What an addition leaves behind.
pub(crate) fn sum(id: Id, sum: u64) -> Value {
    json!({ "by": id.to_string(), "sum": sum })
}

/// Who wrote a value.
pub(crate) fn author(value: &Value) -> Option<Id> {
    value.get("by")?.as_str()?.parse().ok()
}
