//! Reads one file below a directory, and none beside it.

use std::{
    fs::{self, File},
    io::Read,
    path::{Component, Path},
};

use octa_plugin_api::{Error, ErrorKind, Result, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The most bytes a file may have.
const LARGEST: u64 = 1 << 20;

/// How a file is written, as its extension says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// JSON.
    Json,
    /// TOML.
    Toml,
}

/// Reads the file that `name` is the path of, below `directory`.
pub(crate) fn read(directory: &Path, name: &str) -> Result<(Format, Value)> {
    let format = Format::of(name)?;
    let text = text(directory, name)?;
    let content = format.parse(&text).map_err(|found| {
        let message = format!("`{name}` is not {format:?}: {found}");
        Error::new(ErrorKind::InvalidInput, message)
    })?;
    Ok((format, content))
}

impl Format {
    fn of(name: &str) -> Result<Self> {
        match Path::new(name).extension().and_then(|it| it.to_str()) {
            Some("json") => Ok(Self::Json),
            Some("toml") => Ok(Self::Toml),
            _ => Err(refused(
                name,
                "has no known format, expected `.json` or `.toml`",
            )),
        }
    }

    fn parse(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Json => serde_json::from_str(text).map_err(|error| error.to_string()),
            Self::Toml => match toml::from_str(text) {
                Ok(table) => Ok(json(toml::Value::Table(table))),
                Err(error) => Err(error.message().to_owned()),
            },
        }
    }
}

/// Checks the path as it is written, then the file that it leads to: links may lead elsewhere.
fn text(directory: &Path, name: &str) -> Result<String> {
    let mut parts = Path::new(name).components();
    if !parts.all(|part| matches!(part, Component::Normal(_))) {
        return Err(refused(
            name,
            "leads elsewhere, expected a path below the directory",
        ));
    }
    let failed = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Failed,
        };
        Error::new(kind, format!("`{name}` cannot be read: {error}"))
    };
    let root = fs::canonicalize(directory).map_err(failed)?;
    let path = fs::canonicalize(root.join(name)).map_err(failed)?;
    if !path.starts_with(&root) {
        return Err(refused(name, "is a link that leads out of the directory"));
    }
    if !fs::metadata(&path).map_err(failed)?.is_file() {
        return Err(refused(name, "is no regular file"));
    }
    let mut text = String::new();
    let file = File::open(&path).map_err(failed)?;
    file.take(LARGEST + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > LARGEST {
        return Err(refused(name, "has more than 1 MiB"));
    }
    Ok(text)
}

fn refused(name: &str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("`{name}` {why}"))
}

/// TOML as JSON; moments become texts.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => {
            let entries = table.into_iter().map(|(key, value)| (key, json(value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}
