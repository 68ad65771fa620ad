//! What the host is given to do, and what it and Wine must say meanwhile.

use std::iter;

use anyhow::{Result, bail};

/// A build of the plugin `counter`, among the fixtures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Build {
    pub(super) name: &'static str,
    version: &'static str,
    /// What keeps it mapped.
    kept: Option<&'static str>,
}

const FIRST: Build = Build {
    name: "reload-a",
    version: "1.0.0",
    kept: None,
};

const SECOND: Build = Build {
    name: "reload-b",
    version: "1.1.0",
    kept: None,
};

const LEAVES_THREAD: Build = Build {
    name: "reload-leaks-thread",
    version: "1.2.0",
    kept: Some("1 thread still running"),
};

/// Were it otherwise, overwriting a plugin's file would show nothing.
const REFUSED: &str = "what is mapped cannot be overwritten: Sharing violation. (os error 32)";

/// All builds.
pub(super) const BUILDS: [Build; 3] = [FIRST, SECOND, LEAVES_THREAD];

impl Build {
    pub(super) fn file(&self) -> String {
        format!("{}.dll", self.name.replace('-', "_"))
    }
}

/// The builds that the host puts in each other's place, one after another.
pub(super) struct Course {
    pub(super) title: &'static str,
    /// What replaces the first one, and how often.
    newer: Build,
    times: usize,
}

/// What is shown.
pub(super) const COURSES: &[Course] = &[
    Course {
        title: "load, call, overwrite, reload, call, unload",
        newer: SECOND,
        times: 1,
    },
    Course {
        title: "a thread that does not end keeps its code",
        newer: LEAVES_THREAD,
        times: 1,
    },
    // Each generation takes three of the 1,088 places of thread-locals.
    Course {
        title: "400 reloads leave nothing behind that runs out",
        newer: SECOND,
        times: 400,
    },
];

impl Course {
    pub(super) fn builds(&self) -> Vec<Build> {
        iter::once(FIRST)
            .chain(iter::repeat_n(self.newer, self.times))
            .collect()
    }

    /// Whether nobody wants to read it all.
    pub(super) fn is_long(&self) -> bool {
        self.times > 1
    }
}

/// What was said, by whom.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) host: Vec<String>,
    /// What Wine mapped and unmapped of the staged copies, by their numbers.
    wine: Vec<String>,
}

impl Heard {
    /// Takes down a line, and says how it is shown; `None` if it tells nothing of the plugin.
    pub(super) fn note(&mut self, line: &str) -> Option<String> {
        if !line.contains(":loaddll:") {
            self.host.push(line.to_owned());
            return Some(format!("host  {line}"));
        }
        let word = if line.contains("Unloaded module") {
            "unloaded"
        } else {
            "loaded"
        };
        let file = line.split('"').nth(1)?.rsplit('\\').next()?;
        let number = file.strip_prefix("counter-")?.strip_suffix(".dll")?;
        let number = number.rsplit('-').next()?;
        self.wine.push(format!("{word} {number}"));
        Some(format!("wine  {word} `{file}`"))
    }

    /// The last lines of the host.
    pub(super) fn last(&self) -> &[String] {
        &self.host[self.host.len().saturating_sub(3)..]
    }

    /// Tells the first difference from what must be heard.
    pub(super) fn compare(&self, expected: &Self) -> Result<()> {
        for (who, heard, expected) in [
            ("the host", &self.host, &expected.host),
            ("Wine", &self.wine, &expected.wine),
        ] {
            if let Some(at) =
                (0..heard.len().max(expected.len())).find(|&at| heard.get(at) != expected.get(at))
            {
                let (heard, expected) = (heard.get(at), expected.get(at));
                bail!("{who} says {heard:?}, expected {expected:?}");
            }
        }
        Ok(())
    }
}

/// What must be heard.
pub(super) fn expected(builds: &[Build]) -> Heard {
    let mut heard = Heard::default();
    for (before, (number, build)) in [None]
        .into_iter()
        .chain(builds.iter().map(Some))
        .zip((1..).zip(builds))
    {
        heard.wine.push(format!("loaded {number}"));
        let file = build.file();
        match before {
            None => heard
                .host
                .extend([format!("loaded `{file}`"), REFUSED.to_owned()]),
            Some(before) => heard.host.extend([
                format!("overwrote its file with `{file}`"),
                format!("reloaded: {} replaces {}", build.version, before.version),
            ]),
        }
        heard
            .host
            .push(format!("called: `{}` counts {number}", build.name));
        if let Some(before) = before {
            heard.end(number - 1, before);
        }
    }
    heard.host.push("unloaded".to_owned());
    if let Some(last) = builds.last() {
        heard.end(builds.len(), last);
    }
    heard
}

impl Heard {
    fn end(&mut self, number: usize, build: &Build) {
        if let Some(cause) = build.kept {
            self.host
                .push(format!("generation {number} is kept: [{cause:?}]"));
        } else {
            self.host.push(format!("generation {number} is unmapped"));
            self.wine.push(format!("unloaded {number}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wine_says_of_staged_copies_is_heard() {
        let mut heard = Heard::default();
        let lines = [
            r#"0080:trace:loaddll:build_module Loaded L"C:\\windows\\system32\\zlib1.dll" at 0000000241B90000: native"#,
            r#"00f0:trace:loaddll:build_module Loaded L"Z:\\home\\data\\staged\\32-0\\counter-f3d8c4649df7-1.dll" at 0000000180000000: native"#,
            r#"00f4:trace:loaddll:free_modref Unloaded module L"Z:\\home\\data\\staged\\32-0\\counter-f3d8c4649df7-1.dll" : native"#,
        ];
        let shown: Vec<_> = lines.iter().map(|line| heard.note(line)).collect();
        let loaded = "wine  loaded `counter-f3d8c4649df7-1.dll`".to_owned();
        let unloaded = "wine  unloaded `counter-f3d8c4649df7-1.dll`".to_owned();
        assert_eq!(shown, [None, Some(loaded), Some(unloaded)]);
        assert_eq!(heard.wine, ["loaded 1", "unloaded 1"]);
        assert!(heard.host.is_empty());
    }

    #[test]
    fn each_step_is_expected_once() {
        let heard = expected(&[FIRST, LEAVES_THREAD]);
        let host = [
            "loaded `reload_a.dll`",
            REFUSED,
            "called: `reload-a` counts 1",
            "overwrote its file with `reload_leaks_thread.dll`",
            "reloaded: 1.2.0 replaces 1.0.0",
            "called: `reload-leaks-thread` counts 2",
            "generation 1 is unmapped",
            "unloaded",
            r#"generation 2 is kept: ["1 thread still running"]"#,
        ];
        assert_eq!(heard.host, host);
        assert_eq!(heard.wine, ["loaded 1", "loaded 2", "unloaded 1"]);
    }

    #[test]
    fn a_step_that_is_missing_is_named() {
        let error = Heard::default().compare(&expected(&[FIRST])).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the host says None, expected Some("loaded `reload_a.dll`")"#
        );
    }
}
