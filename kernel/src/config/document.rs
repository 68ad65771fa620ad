//! Walks a TOML document key by key, so that each error can say where it stands and what was
//! expected.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use octa_loader::{NameError, NameKind, Pattern};
use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::bytes::{self, Unlike};
use super::path::Path;
use super::place::Place;
use super::schema_check::Mismatch;
use super::schema_words::join;
use super::section::Section;
use super::{ConfigError, duration};
use crate::nearest::nearest;

/// What a pattern looks like, for messages.
pub(super) const PATTERN: &str = "a name or a pattern such as \"device.**\"";

/// The text and its name.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) file: Arc<str>,
    pub(super) text: &'a str,
}

impl<'a> Document<'a> {
    pub(super) fn parse(&self) -> Result<DeTable<'a>, ConfigError> {
        DeTable::parse(self.text)
            .map(Spanned::into_inner)
            .map_err(|error| ConfigError::Syntax {
                place: Place::of(&self.file, self.text, error.span().unwrap_or_default()),
                message: error.message().to_owned(),
            })
    }
}

/// A table of the document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    pub(super) document: &'a Document<'a>,
    pub(super) path: Path<'a>,
    pub(super) entries: &'a DeTable<'a>,
}

/// A value of the document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    document: &'a Document<'a>,
    path: Path<'a>,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Table<'a> {
    /// Refuses every key but the known ones.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), ConfigError> {
        let unknown = self
            .entries
            .iter()
            .find(|(key, _)| !known.contains(&key.get_ref().as_ref()));
        let Some((key, _)) = unknown else {
            return Ok(());
        };
        let expected = join(known.iter().map(|key| format!("`{key}`")));
        let path = self.path.key(key.get_ref());
        let mismatch = Mismatch::new(path, "an unknown key", expected);
        let suggestion = nearest(key.get_ref(), known.iter().copied());
        Err(ConfigError::Mismatch {
            place: Place::of(&self.document.file, self.document.text, key.span()),
            mismatch: Box::new(mismatch.suggesting(suggestion)),
        })
    }

    /// Refuses every key that is no name of this kind.
    pub(super) fn names(&self, kind: NameKind) -> Result<(), ConfigError> {
        self.entries.keys().try_for_each(|key| {
            let name = key.get_ref();
            kind.check(name).map_err(|error| ConfigError::Misnamed {
                place: Place::of(&self.document.file, self.document.text, key.span()),
                path: self.path.key(name).to_string(),
                error,
            })
        })
    }

    /// What `read` makes of the value of a key, if there is one.
    pub(super) fn optional<T>(
        &self,
        key: &str,
        read: impl FnOnce(Node<'_>) -> Result<T, ConfigError>,
    ) -> Result<Option<T>, ConfigError> {
        self.get(key).map(read).transpose()
    }

    pub(super) fn get(&'a self, key: &'a str) -> Option<Node<'a>> {
        let value = self.entries.get(key)?;
        Some(Node {
            document: self.document,
            path: self.path.key(key),
            value,
        })
    }

    pub(super) fn iter(&'a self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        self.entries.iter().map(|(key, value)| {
            let key = key.get_ref().as_ref();
            (
                key,
                Node {
                    document: self.document,
                    path: self.path.key(key),
                    value,
                },
            )
        })
    }
}

impl<'a> Node<'a> {
    pub(super) fn table(&self) -> Result<Table<'a>, ConfigError> {
        match self.value.get_ref() {
            DeValue::Table(entries) => Ok(Table {
                document: self.document,
                path: self.path,
                entries,
            }),
            _ => Err(self.mismatch("a table")),
        }
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Table(_))
    }

    pub(super) fn boolean(&self) -> Result<bool, ConfigError> {
        let boolean = self.as_boolean();
        boolean.ok_or_else(|| self.mismatch("`true` or `false`"))
    }

    /// The value, if it is `true` or `false`.
    pub(super) fn as_boolean(&self) -> Option<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// A number of things.
    pub(super) fn whole<T: TryFrom<u64>>(&self, expected: &str) -> Result<T, ConfigError> {
        let DeValue::Integer(number) = self.value.get_ref() else {
            return Err(self.mismatch(expected));
        };
        let number = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| self.mismatch(expected))
    }

    /// A number of things, at least `least`.
    pub(super) fn number(&self, least: u32) -> Result<u32, ConfigError> {
        let expected = format!("a whole number of {least} to {}", u32::MAX);
        match self.whole(&expected)? {
            number if number < least => Err(self.mismatch(&expected)),
            number => Ok(number),
        }
    }

    /// A part of a whole.
    pub(super) fn share(&self) -> Result<f64, ConfigError> {
        let number = match self.value.get_ref() {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) => number.as_str().parse().ok(),
            _ => None,
        };
        let share = number.filter(|share| *share > 0.0 && *share <= 1.0);
        share.ok_or_else(|| self.mismatch("a share above 0 and at most 1"))
    }

    /// An amount of memory.
    pub(super) fn bytes(&self) -> Result<u64, ConfigError> {
        let text = self.text(bytes::EXPECTED)?;
        bytes::parse(text).map_err(|unlike| {
            let found = format!("`{text:?}`{}", unlike.words());
            let mismatch = Mismatch::new(self.path, found, bytes::EXPECTED);
            self.error(match unlike {
                Unlike::BadUnit(meant) => mismatch.suggesting(meant),
                _ => mismatch,
            })
        })
    }

    /// An amount of memory that is not nothing.
    pub(super) fn some_bytes(&self) -> Result<u64, ConfigError> {
        match self.bytes()? {
            0 => Err(self.mismatch("an amount above zero such as \"512MiB\"")),
            bytes => Ok(bytes),
        }
    }

    /// The path of a file.
    pub(super) fn file(&self) -> Result<PathBuf, ConfigError> {
        let expected = "the path of a file";
        let path = Some(self.text(expected)?).filter(|path| !path.is_empty());
        path.map(PathBuf::from)
            .ok_or_else(|| self.mismatch(expected))
    }

    pub(super) fn text(&self, expected: &str) -> Result<&'a str, ConfigError> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => Err(self.mismatch(expected)),
        }
    }

    /// A name, or what else has the rules of one.
    pub(super) fn name(&self, kind: NameKind) -> Result<String, ConfigError> {
        let name = self.text(&format!("a {kind}"))?;
        match kind.check(name) {
            Ok(()) => Ok(name.to_owned()),
            Err(error) => Err(self.misnamed(error)),
        }
    }

    pub(super) fn pattern(&self) -> Result<Pattern, ConfigError> {
        let text = self.text(PATTERN)?;
        text.parse().map_err(|error| self.misnamed(error))
    }

    pub(super) fn duration(&self) -> Result<Duration, ConfigError> {
        let text = self.text(duration::EXPECTED)?;
        duration::parse(text).ok_or_else(|| self.mismatch(duration::EXPECTED))
    }

    /// One of a few words, each with its meaning.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let words = choices.iter().map(|(word, _)| *word);
        let expected = join(words.clone().map(|word| format!("`{word:?}`")));
        let text = self.text(&expected)?;
        let chosen = choices.iter().find(|(word, _)| *word == text);
        let error = || self.error(self.describe(&expected).suggesting(nearest(text, words)));
        chosen.map(|(_, meaning)| *meaning).ok_or_else(error)
    }

    /// A list, each item read by `read`; `item` is what one is.
    pub(super) fn list<T>(
        &self,
        item: &str,
        mut read: impl FnMut(Node<'_>) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        let DeValue::Array(items) = self.value.get_ref() else {
            return Err(self.mismatch(&format!("a list, each item {item}")));
        };
        let nodes = items.iter().enumerate();
        nodes
            .map(|(index, value)| {
                read(Node {
                    document: self.document,
                    path: self.path.index(index),
                    value,
                })
            })
            .collect()
    }

    /// Shows `see` the key and the place of this value, and of those in it down to a depth.
    pub(super) fn visit(&self, depth: usize, see: &mut dyn FnMut(String, Place)) {
        see(self.shown(), self.place());
        let Some(depth) = depth.checked_sub(1) else {
            return;
        };
        let document = self.document;
        let inside = |path, value| Node {
            document,
            path,
            value,
        };
        match self.value.get_ref() {
            DeValue::Table(entries) => {
                for (key, value) in entries {
                    inside(self.path.key(key.get_ref()), value).visit(depth, see);
                }
            }
            DeValue::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    inside(self.path.index(index), value).visit(depth, see);
                }
            }
            _ => {}
        }
    }

    /// A plugin's own section, converted to JSON with the places of its parts.
    pub(super) fn section(&self) -> Result<Section, ConfigError> {
        let mut section = Section::default();
        let table = self.table()?;
        section.places.insert(self.path.to_string(), self.place());
        for (key, node) in table.iter() {
            let value = node.json(&mut section)?;
            section.values.insert(key.to_owned(), value);
        }
        Ok(section)
    }

    fn json(&self, section: &mut Section) -> Result<Value, ConfigError> {
        section.places.insert(self.path.to_string(), self.place());
        Ok(match self.value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Datetime(time) => Value::String(time.to_string()),
            DeValue::Integer(number) => {
                let number = i64::from_str_radix(number.as_str(), number.radix());
                Value::from(number.map_err(|_| self.mismatch("an integer of 64 bits"))?)
            }
            DeValue::Float(number) => {
                let number = number.as_str().parse().ok().and_then(Number::from_f64);
                Value::Number(number.ok_or_else(|| self.mismatch("a finite number"))?)
            }
            DeValue::Array(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (index, value) in items.iter().enumerate() {
                    let node = Node {
                        document: self.document,
                        path: self.path.index(index),
                        value,
                    };
                    values.push(node.json(section)?);
                }
                Value::Array(values)
            }
            DeValue::Table(_) => {
                let mut values = Map::new();
                for (key, node) in self.table()?.iter() {
                    values.insert(key.to_owned(), node.json(section)?);
                }
                Value::Object(values)
            }
        })
    }

    /// The error that something else was expected here.
    pub(super) fn mismatch(&self, expected: &str) -> ConfigError {
        self.error(self.describe(expected))
    }

    /// The same, where more is to be said of what was found.
    pub(super) fn unlike(
        &self,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> ConfigError {
        self.error(Mismatch::new(self.path, found, expected))
    }

    /// The same, with what to do about it.
    pub(super) fn advise(
        &self,
        found: impl Into<String>,
        expected: impl Into<String>,
        hint: impl Into<String>,
    ) -> ConfigError {
        self.error(Mismatch::new(self.path, found, expected).advising(hint))
    }

    /// The error that a key beside this one is missing.
    pub(super) fn lacks(&self, path: &str, expected: &str) -> ConfigError {
        self.error(Mismatch::new(path, "missing", expected))
    }

    fn misnamed(&self, error: NameError) -> ConfigError {
        ConfigError::Misnamed {
            place: self.place(),
            path: self.path.to_string(),
            error,
        }
    }

    fn describe(&self, expected: &str) -> Mismatch {
        let found = match self.value.get_ref() {
            DeValue::String(text) => format!("`{text:?}`"),
            DeValue::Integer(number) => format!("`{number}`"),
            DeValue::Float(number) => format!("`{number}`"),
            DeValue::Boolean(value) => format!("`{value}`"),
            DeValue::Datetime(time) => format!("`{time}`"),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        Mismatch::new(self.path, found, expected)
    }

    fn error(&self, mismatch: Mismatch) -> ConfigError {
        ConfigError::Mismatch {
            place: self.place(),
            mismatch: Box::new(mismatch),
        }
    }

    /// Where it stands, as a key.
    pub(super) fn shown(&self) -> String {
        self.path.to_string()
    }

    pub(super) fn place(&self) -> Place {
        Place::of(&self.document.file, self.document.text, self.value.span())
    }
}
