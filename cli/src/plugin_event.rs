//! What the kernel tells of a plugin on `kernel.plugin.*` and `kernel.generation.*`, in words.

use serde::Deserialize;

use crate::reloads::{Generation, Problem, Reloaded, Retired};

/// What is told; which of them shows in the fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum PluginEvent {
    /// It came from one state into another.
    Moved {
        plugin: String,
        version: String,
        from: String,
        to: String,
        problems: Vec<Problem>,
    },
    /// One generation took over from another.
    Replaced {
        reload: Reloaded,
        /// Why the one before had to go.
        problem: Option<Problem>,
    },
    /// A new build does not take over.
    Stayed {
        plugin: String,
        serving: Generation,
        version: String,
        problem: Problem,
    },
    /// Code of it does not give its thread back, or has done so after all.
    Blocked {
        plugin: String,
        generation: u64,
        what: String,
        thread: String,
        r#where: String,
        /// How long that took.
        for_ms: Option<u64>,
    },
    /// A generation has ended.
    Ended {
        plugin: String,
        generation: u64,
        /// What is left of it, if it is still mapped.
        kept: Option<Retired>,
    },
}

/// What the data of an event says; nothing if it says something else.
pub(crate) fn in_words(data: &str) -> Option<String> {
    Some(PluginEvent::of(data)?.to_text())
}

impl PluginEvent {
    /// The data of an event.
    pub(crate) fn of(data: &str) -> Option<Self> {
        serde_json::from_str(data).ok()
    }

    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Moved {
                plugin,
                version,
                from,
                to,
                problems,
            } => {
                let problem = because(problems.first());
                format!("{plugin} {version}: {from} → {to}{problem}")
            }
            Self::Replaced { reload, problem } => {
                format!("{}{}", reload.to_text(), because(problem.as_ref()))
            }
            Self::Stayed {
                plugin,
                serving,
                version,
                problem,
            } => {
                let (serving, problem) = (serving.to_text(), because(Some(problem)));
                format!("{plugin} {serving} goes on, {version} does not take over{problem}")
            }
            Self::Blocked {
                plugin,
                generation,
                what,
                for_ms: Some(time),
                ..
            } => format!("{plugin} gen {generation}: {what} has returned after {time} ms"),
            Self::Blocked {
                plugin,
                generation,
                what,
                thread,
                r#where,
                ..
            } => {
                let place = Some(r#where).filter(|place| !place.is_empty());
                let place = place.map(|place| format!(": {place}")).unwrap_or_default();
                format!("{plugin} gen {generation}: {what} blocks the thread `{thread}`{place}")
            }
            Self::Ended {
                plugin,
                kept: Some(kept),
                ..
            } => kept.to_text(plugin),
            Self::Ended {
                plugin, generation, ..
            } => format!("{plugin} gen {generation} is unmapped"),
        }
    }
}

fn because(problem: Option<&Problem>) -> String {
    problem.map_or(String::new(), |problem| format!(": {}", problem.message))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn generation(number: u64, version: &str) -> Value {
        json!({ "number": number, "version": version, "hash": "1a2b3c4d5e6f", "since": 1 })
    }

    #[track_caller]
    fn check(data: Value, expect: &str) {
        assert_eq!(in_words(&data.to_string()).as_deref(), Some(expect));
    }

    fn problem() -> Value {
        json!({ "kind": "failed", "message": "no light", "hint": "buy one" })
    }

    #[test]
    fn each_is_told_in_words() {
        let moved = json!({ "plugin": "lamp", "version": "0.1.0", "from": "loaded",
            "to": "started", "problems": [] });
        check(moved, "lamp 0.1.0: loaded → started");
        let reload = json!({ "plugin": "lamp", "kind": "overlap", "from": generation(1, "1.0.0"),
            "to": generation(2, "1.1.0"), "state": null, "waiting_events": 0, "took": 1_000_000,
            "paused": 0 });
        check(
            json!({ "reload": reload, "problem": null }),
            "lamp 1.0.0 (gen 1, 1a2b3c4d) → 1.1.0 (gen 2, 1a2b3c4d) in 1.0 ms",
        );
        check(
            json!({ "reload": reload, "problem": problem() }),
            "lamp 1.0.0 (gen 1, 1a2b3c4d) → 1.1.0 (gen 2, 1a2b3c4d) in 1.0 ms: no light",
        );
        check(
            json!({ "plugin": "lamp", "serving": generation(1, "1.0.0"), "version": "1.1.0",
                "problem": problem() }),
            "lamp 1.0.0 (gen 1, 1a2b3c4d) goes on, 1.1.0 does not take over: no light",
        );
        let mut blocked = json!({ "plugin": "lamp", "generation": 3, "thread": "octa-pool",
            "what": "the handler of `lamp.on`", "where": "in `lamp::on`" });
        check(
            blocked.clone(),
            "lamp gen 3: the handler of `lamp.on` blocks the thread `octa-pool`: in `lamp::on`",
        );
        blocked["for_ms"] = 1200.into();
        check(
            blocked,
            "lamp gen 3: the handler of `lamp.on` has returned after 1200 ms",
        );
        check(
            json!({ "plugin": "lamp", "generation": 3, "kept": null }),
            "lamp gen 3 is unmapped",
        );
        let kept = json!({ "generation": generation(3, "1.0.0"), "causes": ["a thread"],
            "is_final": true });
        check(
            json!({ "plugin": "lamp", "generation": 3, "kept": kept }),
            "lamp gen 3 (1.0.0, 1a2b3c4d) is still mapped: a thread",
        );
    }

    #[test]
    fn what_is_not_known_has_no_words() {
        assert_eq!(in_words(r#"{"plugin":"lamp"}"#), None);
        assert_eq!(in_words("1"), None);
    }
}
