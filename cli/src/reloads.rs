//! What reloads and rollbacks did, or would do, as people read it.
//!
//! It comes as JSON from wherever it happened: an answer, an event, or this process.

use std::time::Duration;

use serde::Deserialize;

use crate::show;

/// How much of a hash is enough to tell builds apart by eye.
const HASH_DIGITS: usize = 8;

/// One generation of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Generation {
    pub(crate) number: u64,
    version: String,
    hash: Option<String>,
}

/// A generation that has ended and is still mapped.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Retired {
    generation: Generation,
    causes: Vec<String>,
}

/// What is wrong, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Problem {
    #[serde(default)]
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Reloaded {
    pub(crate) plugin: String,
    from: Generation,
    pub(crate) to: Generation,
    state: Option<State>,
    waiting_events: usize,
    took: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct State {
    source: Source,
    from: u32,
    to: u32,
    bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Source {
    Saved,
    #[serde(other)]
    Current,
}

/// What a reload would do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Plan {
    plugin: String,
    kind: Kind,
    from: Generation,
    version: String,
    hash: String,
    state: String,
    dependents: Vec<String>,
    added: Vec<String>,
    removed: Vec<String>,
    loses: Vec<String>,
    pub(crate) problems: Vec<Problem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Overlap,
    Handover,
    Exclusive,
    #[serde(other)]
    Unknown,
}

impl Generation {
    /// `1.0.0 (gen 3, 1a2b3c4d)`.
    pub(crate) fn to_text(&self) -> String {
        let Self {
            number, version, ..
        } = self;
        match self.short_hash() {
            "" => format!("{version} (gen {number})"),
            hash => format!("{version} (gen {number}, {hash})"),
        }
    }

    /// The beginning of the hash; nothing where the plugin is no file.
    pub(crate) fn short_hash(&self) -> &str {
        self.hash.as_deref().map_or("", short)
    }
}

/// The beginning of a hash.
fn short(hash: &str) -> &str {
    hash.get(..HASH_DIGITS).unwrap_or(hash)
}

impl From<&octa_kernel::GenerationStatus> for Generation {
    fn from(generation: &octa_kernel::GenerationStatus) -> Self {
        Self {
            number: generation.number,
            version: generation.version.clone(),
            hash: generation.hash.clone(),
        }
    }
}

impl From<&octa_kernel::Reloaded> for Reloaded {
    fn from(reloaded: &octa_kernel::Reloaded) -> Self {
        let state = reloaded.state.as_ref();
        Self {
            plugin: reloaded.plugin.clone(),
            from: (&reloaded.from).into(),
            to: (&reloaded.to).into(),
            state: state.map(|state| State {
                source: match state.source {
                    octa_kernel::StateSource::Saved => Source::Saved,
                    _ => Source::Current,
                },
                from: state.from,
                to: state.to,
                bytes: state.bytes,
            }),
            waiting_events: reloaded.waiting_events,
            took: reloaded.took,
        }
    }
}

impl Retired {
    /// `counter gen 3 (1.0.0, 1a2b3c4d) is still mapped: 2 threads still running`.
    pub(crate) fn to_text(&self, plugin: &str) -> String {
        let Generation {
            number, version, ..
        } = &self.generation;
        let hash = match self.generation.short_hash() {
            "" => String::new(),
            hash => format!(", {hash}"),
        };
        let causes = match self.causes.len() {
            0 => String::new(),
            _ => format!(": {}", self.causes.join(", ")),
        };
        format!("{plugin} gen {number} ({version}{hash}) is still mapped{causes}")
    }
}

impl Problem {
    /// Its message, and its hint on a line of its own.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let hint = self.hint.iter().map(|hint| format!("  hint: {hint}"));
        std::iter::once(self.message.clone()).chain(hint)
    }
}

impl Reloaded {
    /// From which generation to which, how fast, and what was carried over.
    pub(crate) fn to_text(&self) -> String {
        let took = show::took(Duration::from_nanos(self.took));
        let (from, to) = (self.from.to_text(), self.to.to_text());
        let mut text = format!("{} {from} → {to} in {took}", self.plugin);
        if let Some(state) = &self.state {
            text += &format!(", {}", state.to_text());
        }
        match self.waiting_events {
            0 => {}
            events => text += &format!(", {} waited", show::count(events, "event")),
        }
        text
    }
}

impl State {
    fn to_text(&self) -> String {
        let versions = match (self.from, self.to) {
            (from, to) if from == to => format!("v{to}"),
            (from, to) => format!("v{from} → v{to}"),
        };
        let bytes = show::count(self.bytes, "byte");
        match self.source {
            Source::Current => format!("state {versions} ({bytes}) handed over"),
            Source::Saved => {
                format!("state {versions} ({bytes}) restored as it was saved, later changes lost")
            }
        }
    }
}

impl Plan {
    /// What would change, and for whom: a line for each.
    pub(crate) fn to_text(&self) -> String {
        let (from, to) = (self.from.to_text(), &self.version);
        let mut lines = vec![match short(&self.hash) {
            same if same == self.from.short_hash() => {
                format!("{} {from} → {to} from the same file", self.plugin)
            }
            hash => format!("{} {from} → {to} ({hash})", self.plugin),
        }];
        let problems = self.problems.iter().flat_map(Problem::lines).collect();
        let facts = [
            ("way", vec![self.kind.to_text().to_owned()]),
            ("state", vec![self.state.clone()]),
            ("dependents", self.dependents.clone()),
            ("adds", self.added.clone()),
            ("removes", self.removed.clone()),
            ("loses", self.loses.clone()),
            ("in the way", problems),
        ];
        for (name, values) in facts {
            let values = values.iter().filter(|value| !value.is_empty());
            for (index, value) in values.enumerate() {
                let name = if index == 0 { name } else { "" };
                lines.push(format!("  {name:<10}  {value}"));
            }
        }
        let lines: Vec<_> = lines.iter().map(|line| show::one_line(line)).collect();
        lines.join("\n")
    }
}

impl Kind {
    fn to_text(self) -> &'static str {
        match self {
            Self::Overlap => "the new one starts beside the old one; nobody waits",
            Self::Handover => "callers wait while the state is handed over",
            Self::Exclusive => "the old one is stopped before the new one starts; callers wait",
            Self::Unknown => "in a way that this version of octa does not know",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn generation(number: u64, version: &str, hash: &str) -> Value {
        json!({ "number": number, "version": version, "hash": hash, "since": 1 })
    }

    fn check_reloaded(state: Value, waiting: usize, took: u64, expect: &str) {
        let told = json!({
            "plugin": "counter",
            "kind": "handover",
            "from": generation(3, "1.0.0", "1a2b3c4d5e6f"),
            "to": generation(4, "1.1.0", "5e6f7a8b9c0d"),
            "state": state,
            "waiting_events": waiting,
            "took": took,
            "paused": 7,
        });
        let reloaded: Reloaded = serde_json::from_value(told).expect("a reload");
        let prefix = "counter 1.0.0 (gen 3, 1a2b3c4d) → 1.1.0 (gen 4, 5e6f7a8b) in ";
        assert_eq!(reloaded.to_text(), format!("{prefix}{expect}"));
    }

    #[test]
    fn a_reload_is_one_line() {
        check_reloaded(Value::Null, 0, 850_000, "850 µs");
        let state = json!({ "source": "current", "from": 1, "to": 2, "bytes": 18 });
        check_reloaded(
            state,
            4,
            3_140_000,
            "3.1 ms, state v1 → v2 (18 bytes) handed over, 4 events waited",
        );
        let state = json!({ "source": "saved", "from": 2, "to": 2, "bytes": 1 });
        check_reloaded(
            state,
            1,
            1_240_000_000,
            "1.2 s, state v2 (1 byte) restored as it was saved, later changes lost, 1 event waited",
        );
    }

    fn plan() -> Value {
        json!({
            "plugin": "counter",
            "kind": "handover",
            "from": generation(3, "1.0.0", "1a2b3c4d5e6f"),
            "version": "1.1.0",
            "hash": "5e6f7a8b9c0d",
            "state": "v1 is migrated to v2",
            "dependents": ["panel", "report"],
            "added": ["capability counter.reset"],
            "removed": [],
            "loses": [],
            "problems": [{ "kind": "blocked", "message": "`storage.x` is not granted",
                "hint": "add it" }],
        })
    }

    #[test]
    fn a_plan_says_who_is_touched_and_what_stands_in_the_way() {
        let plan: Plan = serde_json::from_value(plan()).expect("a plan");
        assert_eq!(
            plan.to_text(),
            "\
counter 1.0.0 (gen 3, 1a2b3c4d) → 1.1.0 (5e6f7a8b)
  way         callers wait while the state is handed over
  state       v1 is migrated to v2
  dependents  panel
              report
  adds        capability counter.reset
  in the way  `storage.x` is not granted
                hint: add it"
        );
    }

    #[test]
    fn a_plan_for_the_same_file_says_so() {
        let mut told = plan();
        told["hash"] = "1a2b3c4d5e6f".into();
        told["kind"] = "in-another-process".into();
        let plan: Plan = serde_json::from_value(told).expect("a plan");
        let text = plan.to_text();
        let first = "counter 1.0.0 (gen 3, 1a2b3c4d) → 1.1.0 from the same file\n";
        assert!(text.starts_with(first), "{text}");
        assert!(text.contains("does not know"), "{text}");
    }

    #[test]
    fn what_is_still_mapped_is_told_with_its_causes() {
        let told = json!({
            "generation": generation(3, "1.0.0", "1a2b3c4d5e6f"),
            "causes": ["2 threads still running", "destructor pending on thread `main`"],
            "is_final": false,
        });
        let retired: Retired = serde_json::from_value(told).expect("a generation");
        assert_eq!(
            retired.to_text("counter"),
            "counter gen 3 (1.0.0, 1a2b3c4d) is still mapped: 2 threads still running, \
             destructor pending on thread `main`"
        );
    }

    #[test]
    fn a_linked_plugin_has_no_hash() {
        let told = json!({ "number": 1, "version": "1.0.0", "hash": null, "since": 1 });
        let generation: Generation = serde_json::from_value(told).expect("a generation");
        assert_eq!(generation.to_text(), "1.0.0 (gen 1)");
    }
}
