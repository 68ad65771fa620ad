//! A line and column in a named file, for messages.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Where in a configuration file something stands; lines and columns count from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named to the parser.
    pub file: Arc<str>,
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Place {
    /// Turns a span of bytes into the place where it begins.
    pub(super) fn of(file: &Arc<str>, text: &str, span: Range<usize>) -> Place {
        let before = text.get(..span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            file: file.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let place = |at| Place::of(&"f".into(), "ab\né = 1\n", at..at).to_string();
        assert_eq!(place(0), "f:1:1");
        assert_eq!(place(3), "f:2:1");
        assert_eq!(place(6), "f:2:3");
        assert_eq!(place(99), "f:3:1");
    }
}
