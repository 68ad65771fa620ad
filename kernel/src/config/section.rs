//! A plugin's own configuration: kept as written until it is settled, when secrets are read and the
//! schema is checked.
//!
//! Reading the environment and files is the face's business; it comes in as [`Secrets`].

use std::collections::{BTreeMap, BTreeSet};
use std::{fmt, io};

use serde_json::{Map, Value};

use super::path::Path;
use super::place::Place;
use super::schema_check::{Mismatch, check_hiding};

/// Reads what `{ env = "NAME" }` and `{ file = "path" }` in a configuration stand for.
pub trait Secrets {
    /// The value of an environment variable.
    fn env(&self, name: &str) -> Option<String>;

    /// The text of a file.
    ///
    /// # Errors
    ///
    /// Whatever kept the file from being read.
    fn file(&self, path: &str) -> io::Result<String>;
}

/// Has none: for a host whose configuration holds no secrets.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSecrets;

impl Secrets for NoSecrets {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> io::Result<String> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this host reads no secrets",
        ))
    }
}

/// `[plugins.X.config]` as written: it names secrets and holds none.
#[derive(Debug, Clone, Default)]
pub struct Section {
    pub(super) values: Map<String, Value>,
    pub(super) places: BTreeMap<String, Place>,
}

/// Where it is written makes no difference: a line more above it changes no plugin.
impl PartialEq for Section {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

/// Tells why a plugin's configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// An environment variable that a secret names is not set.
    #[error(
        "{}plugin `{plugin}` wants `{path}` from the environment variable `{name}`, \
         which is not set",
        at(place)
    )]
    MissingVariable {
        /// Whose configuration it is.
        plugin: String,
        /// The key.
        path: String,
        /// The variable.
        name: String,
        /// Where the key is written.
        place: Option<Place>,
    },
    /// A file that a secret names cannot be read.
    #[error(
        "{}plugin `{plugin}` wants `{path}` from the file `{file}`, which cannot be read",
        at(place)
    )]
    UnreadableFile {
        /// Whose configuration it is.
        plugin: String,
        /// The key.
        path: String,
        /// The file.
        file: String,
        /// Where the key is written.
        place: Option<Place>,
        /// What kept it from being read.
        source: io::Error,
    },
    /// A value that the schema in the plugin's manifest does not allow.
    #[error("{}{mismatch}", at(place))]
    Mismatch {
        /// What differs.
        mismatch: Box<Mismatch>,
        /// Where it, or what should hold it, is written.
        place: Option<Place>,
    },
}

impl SettingsError {
    /// Says what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            SettingsError::MissingVariable { name, .. } => Some(format!(
                "set `{name}` in the environment that the kernel is started in"
            )),
            SettingsError::UnreadableFile { file, .. } => Some(format!(
                "write the secret into `{file}`, readable by the user who runs the kernel"
            )),
            SettingsError::Mismatch { mismatch, .. } => mismatch.hint(),
        }
    }
}

fn at(place: &Option<Place>) -> String {
    place
        .as_ref()
        .map(|place| format!("{place}: "))
        .unwrap_or_default()
}

impl Section {
    /// A section from values that no file holds, as an embedder has them.
    pub fn new(values: Map<String, Value>) -> Self {
        Section {
            values,
            places: BTreeMap::new(),
        }
    }

    /// Reads the secrets and checks the whole against the schema in the plugin's manifest.
    ///
    /// A table below the top with the one key `env` or `file` and a text in it is a secret, and
    /// becomes that text.
    /// One newline at the end of a secret file is not part of the secret.
    ///
    /// # Errors
    ///
    /// The first secret that cannot be read, else the first value that differs from the schema.
    pub fn settle(
        &self,
        plugin: &str,
        schema: Option<&Value>,
        secrets: &dyn Secrets,
    ) -> Result<Settings, SettingsError> {
        let root = format!("plugins.{plugin}.config");
        let mut reader = Reader {
            section: self,
            plugin,
            secrets,
            hidden: BTreeSet::new(),
        };
        let value = reader.table(&self.values, Path::Root(&root))?;
        let settings = Settings {
            value,
            hidden: reader.hidden,
            root,
        };
        let verdict = match schema {
            Some(schema) => check_hiding(schema, &settings.value, &settings.root, &settings.hidden),
            None if self.values.is_empty() => Ok(()),
            None => Err(Mismatch::new(
                &settings.root,
                "given",
                "none, as the plugin takes no configuration",
            )),
        };
        match verdict {
            Ok(()) => Ok(settings),
            Err(mismatch) => Err(SettingsError::Mismatch {
                place: self.place(&mismatch.path),
                mismatch: Box::new(mismatch),
            }),
        }
    }

    /// The place of a path, or of the nearest thing around it that is written.
    fn place(&self, path: &str) -> Option<Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return Some(place.clone());
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}

struct Reader<'a> {
    section: &'a Section,
    plugin: &'a str,
    secrets: &'a dyn Secrets,
    hidden: BTreeSet<String>,
}

impl Reader<'_> {
    fn value(&mut self, value: &Value, path: Path<'_>) -> Result<Value, SettingsError> {
        match value {
            Value::Object(table) => match secret(table) {
                Some((kind, source)) => self.secret(kind, source, path),
                None => self.table(table, path),
            },
            Value::Array(items) => {
                let items = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.value(item, path.index(index)));
                items.collect::<Result<_, _>>().map(Value::Array)
            }
            scalar => Ok(scalar.clone()),
        }
    }

    fn table(
        &mut self,
        table: &Map<String, Value>,
        path: Path<'_>,
    ) -> Result<Value, SettingsError> {
        let mut read = Map::new();
        for (key, value) in table {
            read.insert(key.clone(), self.value(value, path.key(key))?);
        }
        Ok(Value::Object(read))
    }

    fn secret(&mut self, kind: &str, source: &str, path: Path<'_>) -> Result<Value, SettingsError> {
        let path = path.to_string();
        let text = match kind {
            "env" => {
                let text = self.secrets.env(source);
                text.ok_or_else(|| self.missing(&path, source))?
            }
            _ => {
                let text = self.secrets.file(source);
                without_newline(text.map_err(|error| self.unreadable(&path, source, error))?)
            }
        };
        self.hidden.insert(path);
        Ok(Value::String(text))
    }

    fn missing(&self, path: &str, name: &str) -> SettingsError {
        SettingsError::MissingVariable {
            plugin: self.plugin.to_owned(),
            path: path.to_owned(),
            name: name.to_owned(),
            place: self.section.place(path),
        }
    }

    fn unreadable(&self, path: &str, file: &str, source: io::Error) -> SettingsError {
        SettingsError::UnreadableFile {
            plugin: self.plugin.to_owned(),
            path: path.to_owned(),
            file: file.to_owned(),
            place: self.section.place(path),
            source,
        }
    }
}

/// The kind and source of a secret, if the table stands for one.
fn secret(table: &Map<String, Value>) -> Option<(&str, &str)> {
    let mut entries = table.iter();
    match (entries.next(), entries.next()) {
        (Some((key, Value::String(source))), None) if key == "env" || key == "file" => {
            Some((key, source))
        }
        _ => None,
    }
}

pub(super) fn without_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// A plugin's configuration with its secrets read; whatever prints it prints `<secret>` in their
/// places.
#[derive(Clone, PartialEq)]
pub struct Settings {
    value: Value,
    hidden: BTreeSet<String>,
    root: String,
}

impl Settings {
    /// The values with the secrets in them, for the plugin alone.
    pub fn expose(&self) -> &Value {
        &self.value
    }

    /// The values with `<secret>` for each secret.
    pub fn redacted(&self) -> Value {
        self.redact(&self.value, Path::Root(&self.root))
    }

    fn redact(&self, value: &Value, path: Path<'_>) -> Value {
        match value {
            _ if self.hidden.contains(&path.to_string()) => Value::from("<secret>"),
            Value::Object(table) => {
                let entries = table
                    .iter()
                    .map(|(key, value)| (key.clone(), self.redact(value, path.key(key))));
                Value::Object(entries.collect())
            }
            Value::Array(items) => {
                let items = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.redact(item, path.index(index)));
                Value::Array(items.collect())
            }
            scalar => scalar.clone(),
        }
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.redacted())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings({self})")
    }
}
