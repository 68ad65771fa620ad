//! What has to hold at the end of a soak: each check compares what was found with the tally.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    load::{Each, PUBLISHERS},
    memory::Held,
    numbers::InOrder,
    plugins::{COUNTING, PLUGINS},
    tally::Tally,
    word::Heard,
};

/// Something that has to hold.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) what: &'static str,
    pub(crate) expected: String,
    pub(crate) found: String,
    pub(crate) passed: bool,
    /// The first things that are not as they should be.
    pub(crate) amiss: Vec<String>,
}

/// What the counting plugin says it has handled.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Book {
    pub(crate) calls: u64,
    events: BTreeMap<usize, InOrder>,
}

impl Book {
    fn of(&self, publisher: usize) -> InOrder {
        self.events.get(&publisher).copied().unwrap_or_default()
    }

    /// The last number of each publisher.
    pub(crate) fn last(&self) -> [u64; PUBLISHERS] {
        std::array::from_fn(|publisher| self.of(publisher).last)
    }
}

/// All that was found.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) reloads: u64,
    pub(crate) published: Each<u64>,
    pub(crate) refused: Vec<String>,
    pub(crate) tally: &'a Tally,
    pub(crate) heard: &'a Heard,
    pub(crate) book: Book,
    /// The generations that serve.
    pub(crate) generations: [u64; PLUGINS.len()],
    /// Those that have ended and are still mapped, as the kernel says.
    pub(crate) retired: Vec<String>,
    /// How often each plugin is mapped, as the system says.
    pub(crate) copies: [usize; PLUGINS.len() + 1],
    /// What was held after the first hundred reloads, if there were more.
    pub(crate) warm: Option<Held>,
    pub(crate) end: Held,
    /// The errors in the log.
    pub(crate) complaints: Vec<String>,
}

/// How many things amiss are shown.
const SHOWN: usize = 5;

/// All checks.
pub(crate) fn all(evidence: &Evidence<'_>) -> Vec<Check> {
    let mut checks = vec![reloads(evidence)];
    checks.extend(calls(evidence));
    checks.extend(events(evidence));
    checks.push(handed_over(evidence));
    checks.extend(generations(evidence));
    checks.extend(held(evidence));
    checks.push(trouble(evidence));
    checks
}

fn reloads(evidence: &Evidence<'_>) -> Check {
    let told = evidence
        .heard
        .reloads
        .iter()
        .map(|it| it.took.count())
        .sum();
    Check {
        // More, if a slow machine let the kernel see a file before it was told.
        passed: told >= evidence.reloads,
        ..equal("reloads", evidence.reloads, told)
    }
}

fn calls(evidence: &Evidence<'_>) -> [Check; 2] {
    let calls = format!("of {} calls", grouped(evidence.tally.calls));
    [
        none("calls failed", &calls, &evidence.tally.failed),
        none(
            "replies of no generation that served",
            &calls,
            &evidence.tally.strange,
        ),
    ]
}

fn events(evidence: &Evidence<'_>) -> [Check; 3] {
    let all: u64 = evidence.published.as_flattened().iter().sum();
    let events = format!("of {} events", grouped(all));
    let (mut lost, mut doubled) = (Amiss::default(), Amiss::default());
    for (plugin, name) in PLUGINS.iter().enumerate() {
        for publisher in 0..PUBLISHERS {
            let seen = if plugin == COUNTING {
                evidence.book.of(publisher)
            } else {
                evidence.heard.events[plugin][publisher]
            };
            let published = evidence.published[plugin][publisher];
            let of = format!("of publisher {publisher} to `{name}`");
            lost.note(seen.missing + published.saturating_sub(seen.last), &of);
            doubled.note(seen.repeated, &of);
        }
    }
    [
        none("events refused", &events, &evidence.refused),
        lost.check("events lost or late", &events),
        doubled.check("events doubled or late", &events),
    ]
}

/// Events that are amiss.
#[derive(Default)]
struct Amiss {
    count: u64,
    of: Vec<String>,
}

impl Amiss {
    fn note(&mut self, count: u64, of: &str) {
        self.count += count;
        self.of.extend((count > 0).then(|| format!("{count} {of}")));
    }

    fn check(self, what: &'static str, among: &str) -> Check {
        Check {
            found: format!("{} {among}", self.count),
            ..none(what, among, &self.of)
        }
    }
}

fn handed_over(evidence: &Evidence<'_>) -> Check {
    let tally = evidence.tally;
    let (last, missing) = tally.counted.last_and_missing();
    let mut amiss = Vec::new();
    let mut must_be_none = |count: u64, what| {
        amiss.extend((count > 0).then(|| format!("{count} counts were answered {what}")));
    };
    must_be_none(tally.counted.repeated, "twice");
    must_be_none(missing, "never");
    let check = equal(
        "handed-over count",
        tally.answered_counting,
        evidence.book.calls,
    );
    Check {
        passed: check.passed && last == evidence.book.calls && amiss.is_empty(),
        amiss,
        ..check
    }
}

fn generations(evidence: &Evidence<'_>) -> [Check; 2] {
    let ended = evidence.generations.iter().map(|serving| serving - 1).sum();
    let mut unmapped = 0;
    let mut once = true;
    for (heard, serving) in evidence.heard.unmapped.iter().zip(evidence.generations) {
        let (last, missing) = heard.last_and_missing();
        unmapped += last - missing;
        once &= heard.repeated == 0 && last < serving;
    }
    let check = equal("generations unmapped", ended, unmapped);
    let unmapped = Check {
        passed: check.passed && once && evidence.retired.is_empty(),
        amiss: first(&evidence.retired),
        ..check
    };
    let expected = "1 copy of each plugin".to_owned();
    let [stateless, counting, exclusive, others] = evidence.copies;
    let mapped = Check {
        what: "mapped, as the system says",
        found: match evidence.copies {
            [1, 1, 1, 0] => expected.clone(),
            _ => format!("{stateless} + {counting} + {exclusive}, {others} others"),
        },
        passed: evidence.copies == [1, 1, 1, 0],
        expected,
        amiss: Vec::new(),
    };
    [unmapped, mapped]
}

fn held(evidence: &Evidence<'_>) -> Vec<Check> {
    let Some(warm) = evidence.warm else {
        return Vec::new();
    };
    let mebibytes = |bytes: u64| format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20));
    let (was, is) = (warm.resident, evidence.end.resident);
    let resident = grown("resident memory", was, is, mebibytes);
    let (was, is) = (warm.mappings, evidence.end.mappings);
    vec![
        resident,
        grown("mappings", was, is, |count| count.to_string()),
    ]
}

fn trouble(evidence: &Evidence<'_>) -> Check {
    let told = evidence.heard.amiss.iter().chain(&evidence.complaints);
    let told: Vec<_> = told.cloned().collect();
    none("other trouble", "told by the kernel", &told)
}

/// What may grow by 1 %, and shrink.
fn grown(what: &'static str, was: u64, is: u64, show: fn(u64) -> String) -> Check {
    let percent = (is as f64 - was as f64) * 100.0 / was as f64;
    Check {
        what,
        expected: format!("{} + 1 %", show(was)),
        found: format!("{} ({percent:+.2} %)", show(is)),
        passed: is.saturating_sub(was) * 100 <= was,
        amiss: Vec::new(),
    }
}

fn equal(what: &'static str, expected: u64, found: u64) -> Check {
    Check {
        what,
        expected: grouped(expected),
        found: grouped(found),
        passed: expected == found,
        amiss: Vec::new(),
    }
}

/// There should be none of these, among so many.
fn none(what: &'static str, among: &str, found: &[String]) -> Check {
    Check {
        what,
        expected: "0".to_owned(),
        found: format!("{} {among}", found.len()),
        passed: found.is_empty(),
        amiss: first(found),
    }
}

fn first(amiss: &[String]) -> Vec<String> {
    amiss.iter().take(SHOWN).cloned().collect()
}

/// A number in groups of three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let found = [7, 300, 10_000, 1_234_567].map(grouped);
        assert_eq!(found, ["7", "300", "10,000", "1,234,567"]);
    }

    #[test]
    fn one_percent_is_the_most() {
        let check = |is, expect| {
            let check = grown("mappings", 500, is, |count| count.to_string());
            assert_eq!((check.passed, check.found.as_str()), expect);
        };
        check(505, (true, "505 (+1.00 %)"));
        check(506, (false, "506 (+1.20 %)"));
        check(490, (true, "490 (-2.00 %)"));
    }
}
