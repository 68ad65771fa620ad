//! A tree of causes as people read it.

use std::time::Duration;

use serde::Deserialize;

use crate::show;

/// Something that is so, and why.
#[derive(Debug, Deserialize)]
pub(super) struct Why {
    since: Option<u64>,
    /// What kind of reason it is.
    cause: String,
    text: String,
    hint: Option<String>,
    causes: Vec<Why>,
}

impl Why {
    /// The tree, each node on a line of its own, its hint below it.
    pub(super) fn to_text(&self, now: Duration) -> String {
        let mut lines = Vec::new();
        self.draw(now, ("", ""), &mut lines);
        lines.join("\n")
    }

    /// Draws the node behind `first`, and what is below it behind `rest`.
    fn draw(&self, now: Duration, (first, rest): (&str, &str), lines: &mut Vec<String>) {
        let text = show::one_line(&self.text);
        lines.push(format!("{first}{text}{}", self.when(now)));
        if let Some(hint) = &self.hint {
            let bar = if self.causes.is_empty() { " " } else { "│" };
            lines.push(format!("{rest}{bar} hint: {}", show::one_line(hint)));
        }
        let Some((last, others)) = self.causes.split_last() else {
            return;
        };
        let (branch, bar) = (format!("{rest}├─ "), format!("{rest}│  "));
        for cause in others {
            cause.draw(now, (&branch, &bar), lines);
        }
        let (branch, bar) = (format!("{rest}└─ "), format!("{rest}   "));
        last.draw(now, (&branch, &bar), lines);
    }

    /// Whether it is so since its time; other times are of what happened or will.
    fn lasts(&self) -> bool {
        ["standing", "serving", "blocking"].contains(&self.cause.as_str())
    }

    fn when(&self, now: Duration) -> String {
        let Some(since) = self.since.map(Duration::from_nanos) else {
            return String::new();
        };
        match now.checked_sub(since) {
            passed if self.lasts() => format!(" for {}", show::age(passed.unwrap_or_default())),
            Some(passed) => format!(" ({} ago)", show::age(passed)),
            None => format!(" (in {})", soon(since.saturating_sub(now))),
        }
    }
}

/// How long something is off: the closer, the more exactly.
fn soon(time: Duration) -> String {
    match time.as_secs() {
        0..=9 => show::took(time),
        _ => show::age(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_stand_below_what_they_explain() {
        let why = r#"{"subject":"lamp","state":"blocked","since":1000000000,"cause":"standing",
            "text":"`lamp` 1.0.0 is blocked","hint":null,"causes":[
            {"subject":"lamp","state":null,"since":null,"cause":"dependency",
             "text":"it needs\nthe plugin `socket`","hint":"start it","causes":[
             {"subject":"socket","state":"failed","since":61000000000,"cause":"standing",
              "text":"`socket` 1.0.0 is failed","hint":null,"causes":[
              {"subject":"socket","state":null,"since":81000000000,"cause":"fault",
               "text":"boom","hint":"buy one","causes":[]},
              {"subject":"socket","state":null,"since":91500000000,"cause":"restart-scheduled",
               "text":"it is started again","hint":null,"causes":[]}]}]},
            {"subject":"lamp","state":null,"since":null,"cause":"permission",
             "text":"it may not","hint":"grant it","causes":[]}]}"#;
        let why: Why = serde_json::from_str(why).expect("an answer");
        assert_eq!(
            why.to_text(Duration::from_secs(91)),
            "\
`lamp` 1.0.0 is blocked for 90s
├─ it needs the plugin `socket`
│  │ hint: start it
│  └─ `socket` 1.0.0 is failed for 30s
│     ├─ boom (10s ago)
│     │    hint: buy one
│     └─ it is started again (in 500 ms)
└─ it may not
     hint: grant it"
        );
    }
}
