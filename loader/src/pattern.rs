//! Patterns over topics and capabilities, as subscriptions and permissions use them.
//!
//! Says what one pattern matches; finding the right ones among many is the job of whoever routes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::{NameError, NameKind};

/// A well-formed pattern: `*` stands for exactly one segment, a last `**` for one or more.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Box<str>);

impl Pattern {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between the dots.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// True if it has no wildcard, and so matches exactly one name: its own text.
    pub fn is_literal(&self) -> bool {
        !self.0.contains('*')
    }

    /// True if `name` is one of those that the pattern stands for.
    ///
    /// `name` is taken to be well-formed.
    pub fn matches(&self, name: &str) -> bool {
        let mut found = name.split('.');
        for wanted in self.segments() {
            match (wanted, found.next()) {
                ("**", Some(_)) => return true,
                ("*", Some(_)) => {}
                (wanted, Some(found)) if wanted == found => {}
                _ => return false,
            }
        }
        found.next().is_none()
    }

    /// True if every name that `other` matches is matched by this pattern too.
    pub fn covers(&self, other: &Pattern) -> bool {
        let mut asked = other.segments();
        for granted in self.segments() {
            match (granted, asked.next()) {
                ("**", Some(_)) => return true,
                (_, Some("**")) => return false,
                ("*", Some(_)) => {}
                (granted, Some(asked)) if granted == asked => {}
                _ => return false,
            }
        }
        asked.next().is_none()
    }
}

impl FromStr for Pattern {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        NameKind::Pattern.check(text)?;
        Ok(Pattern(text.into()))
    }
}

impl TryFrom<String> for Pattern {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.0.into()
    }
}

impl AsRef<str> for Pattern {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().expect("a well-formed pattern")
    }

    #[test]
    fn matches_by_segment() {
        for (text, name, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.b.c", false),
            ("a.b", "a", false),
            ("*", "a", true),
            ("*", "a.b", false),
            ("a.*", "a", false),
            ("a.*.c", "a.b.c", true),
            ("a.*.c", "a.b.d", false),
            ("**", "a", true),
            ("**", "a.b.c", true),
            ("a.**", "a", false),
            ("a.**", "a.b", true),
            ("a.**", "a.b.c", true),
            ("a.**", "ab.c", false),
            ("a.*.**", "a.b", false),
            ("a.*.**", "a.b.c", true),
        ] {
            assert_eq!(
                pattern(text).matches(name),
                expected,
                "`{text}` on `{name}`"
            );
        }
    }

    #[test]
    fn covers_what_it_matches() {
        for (granted, asked, expected) in [
            ("a.**", "a.b", true),
            ("a.**", "a.**", true),
            ("a.**", "a.*.c", true),
            ("a.*", "a.**", false),
            ("a.*", "a.b", true),
            ("a.b", "a.*", false),
            ("**", "**", true),
            ("*.**", "**", false),
            ("a.**", "a", false),
        ] {
            let found = pattern(granted).covers(&pattern(asked));
            assert_eq!(found, expected, "`{granted}` over `{asked}`");
        }
    }

    #[test]
    fn reads_and_writes_json() {
        let read: Pattern = serde_json::from_str(r#""a.**""#).expect("a pattern");
        assert_eq!(serde_json::to_string(&read).expect("JSON"), r#""a.**""#);
        let error = serde_json::from_str::<Pattern>(r#""a.**.b""#).expect_err("no pattern");
        assert!(error.to_string().contains("position 3"), "{error}");
    }

    proptest! {
        #[test]
        fn covering_implies_matching(
            granted in r"((a|b|\*)\.){0,2}(a|b|\*|\*\*)",
            asked in r"((a|b|\*)\.){0,2}(a|b|\*|\*\*)",
            name in r"((a|b)\.){0,3}(a|b)",
        ) {
            let (granted, asked) = (pattern(&granted), pattern(&asked));
            if granted.covers(&asked) && asked.matches(&name) {
                prop_assert!(granted.matches(&name));
            }
        }
    }
}
