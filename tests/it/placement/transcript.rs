//! What was seen of plugins, line by line, and what is expected of it.

use std::{fmt::Write as _, fs, path::PathBuf};

use crate::fixtures;

/// The variable that, if set, has what is seen written down as what is expected.
const BLESS: &str = "OCTA_BLESS";

/// How many lines that differ are shown.
const SHOWN: usize = 20;

/// The lines so far.
#[derive(Debug, Default)]
pub(super) struct Transcript(String);

impl Transcript {
    /// Adds a line.
    pub(super) fn note(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// Compares with what is written down for a topic, or writes it down if `may_bless`; `place`
    /// says where the plugins are.
    #[track_caller]
    pub(super) fn check(&self, topic: &str, place: &str, may_bless: bool) {
        let path = path(topic);
        if may_bless && fixtures::variable(BLESS).is_some() {
            fs::write(&path, &self.0).expect("the transcript is writable");
        }
        let expect = fs::read_to_string(&path).unwrap_or_default();
        if expect != self.0 {
            let differences = differences(&expect, &self.0);
            panic!("`{topic}` differs with {place}:\n{differences}");
        }
    }
}

fn path(topic: &str) -> PathBuf {
    let folder = fixtures::checkout().join("tests/it/placement/transcripts");
    folder.join(format!("{topic}.txt"))
}

/// The lines that differ, of two texts that do: what is the same at both ends is left out.
fn differences(expect: &str, found: &str) -> String {
    let [expect, found] = [expect, found].map(|text| text.lines().collect::<Vec<_>>());
    let both = expect.iter().zip(&found);
    let before = both.take_while(|(expect, found)| expect == found).count();
    let both = expect[before..]
        .iter()
        .rev()
        .zip(found[before..].iter().rev());
    let after = both.take_while(|(expect, found)| expect == found).count();
    let mut told = format!("from line {}\n", before + 1);
    for (sign, lines) in [("-", expect), ("+", found)] {
        let lines = &lines[before..lines.len() - after];
        for line in lines.iter().take(SHOWN) {
            // A text always takes what is written to it.
            let _ = writeln!(told, "{sign} {line}");
        }
        if lines.len() > SHOWN {
            let _ = writeln!(told, "{sign} … {} more", lines.len() - SHOWN);
        }
    }
    told
}
