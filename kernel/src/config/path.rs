//! Where in a document a value stands, written as a user would write it; nothing is allocated until
//! it is shown.

use std::fmt;

/// A way from the root of a document to a value in it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'a> {
    Root(&'a str),
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(crate) fn key(&'a self, key: &'a str) -> Path<'a> {
        Path::Key(self, key)
    }

    pub(crate) fn index(&'a self, index: usize) -> Path<'a> {
        Path::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root(name) => f.write_str(name),
            Path::Key(Path::Root(""), key) => write_key(f, key),
            Path::Key(parent, key) => {
                write!(f, "{parent}.")?;
                write_key(f, key)
            }
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Quotes a key as TOML would, so that a dot inside it is not taken for a step.
fn write_key(f: &mut fmt::Formatter<'_>, key: &str) -> fmt::Result {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        f.write_str(key)
    } else {
        write!(f, "{key:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_document() {
        let root = Path::Root("");
        let plugins = root.key("plugins");
        let rules = plugins.key("rules");
        let rule = rules.index(2);
        assert_eq!(rule.key("topic").to_string(), "plugins.rules[2].topic");
        assert_eq!(rule.key("a.b").to_string(), "plugins.rules[2].\"a.b\"");
        let input = Path::Root("input");
        assert_eq!(input.key("on").to_string(), "input.on");
    }
}
