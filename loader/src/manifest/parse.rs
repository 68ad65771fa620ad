//! Reads a manifest from JSON, strictly, and says which field is wrong.

use semver::VersionReq;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_ignored::Path;
use serde_json::Value;
use serde_json::error::Category;

use super::{
    Capability, Dependency, FormatVersion, MANIFEST_BYTES_MAX, Manifest, ManifestError, Need,
};
use crate::name::NameKind;

impl Manifest {
    /// Reads a manifest and checks its names, patterns and versions.
    ///
    /// A field that the format does not have is an error, unless the manifest's minor version is
    /// newer than [`FormatVersion::CURRENT`].
    ///
    /// # Errors
    /// Names the field that is wrong, what was found in it and what was expected.
    pub fn from_json(json: &[u8]) -> Result<Self, ManifestError> {
        if json.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLarge { size: json.len() });
        }
        // The format decides how everything else is to be read, so it is read alone and first.
        let Head { manifest: format } =
            serde_json::from_slice(json).map_err(|error| explain::<Head>(json, error))?;
        if !is_object(json) {
            return Err(ManifestError::NotAnObject);
        }
        if format.major != FormatVersion::CURRENT.major {
            return Err(ManifestError::Format { found: format });
        }
        let mut unknown = Vec::new();
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let manifest: Manifest = serde_ignored::deserialize(&mut deserializer, |path| {
            unknown.push(spelt(&path));
        })
        .map_err(|error| explain::<Manifest>(json, error))?;
        if !unknown.is_empty() && format <= FormatVersion::CURRENT {
            return Err(ManifestError::UnknownFields {
                fields: unknown,
                format,
            });
        }
        manifest.check()?;
        Ok(manifest)
    }
}

/// What is read first; it makes sure too that the whole is JSON and nothing follows.
#[derive(Deserialize)]
struct Head {
    manifest: FormatVersion,
}

/// Finds out in which field reading a `T` failed; what can be read does not pay for it.
fn explain<T: DeserializeOwned>(json: &[u8], error: serde_json::Error) -> ManifestError {
    if error.classify() != Category::Data {
        return ManifestError::NotJson(error);
    }
    if !is_object(json) {
        return ManifestError::NotAnObject;
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let path = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Ok(_) => ".".to_owned(),
        Err(error) => error.path().to_string(),
    };
    ManifestError::Field {
        field: path,
        source: error,
    }
}

/// The path as `serde_path_to_error` would write it.
fn spelt(path: &Path<'_>) -> String {
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", spelt(parent)),
        Path::Map { parent, key } => match spelt(parent) {
            parent if parent.is_empty() => key.clone(),
            parent => format!("{parent}.{key}"),
        },
        // What is only in the types and not in the text.
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => spelt(parent),
    }
}

/// Serde would take an array for a struct.
fn is_object(json: &[u8]) -> bool {
    let start = json.iter().find(|byte| !byte.is_ascii_whitespace());
    start == Some(&b'{')
}

/// A [`Need`] as it is written.
#[derive(Serialize, Deserialize)]
pub(super) struct NeedFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capability: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plugin: Option<String>,
    #[serde(default)]
    version: VersionReq,
    #[serde(default)]
    optional: bool,
}

impl TryFrom<NeedFields> for Need {
    type Error = serde_json::Error;

    fn try_from(fields: NeedFields) -> Result<Self, serde_json::Error> {
        let dependency = match (fields.capability, fields.plugin) {
            (Some(name), None) => Dependency::Capability(named(NameKind::Capability, name)?),
            (None, Some(name)) => Dependency::Plugin(named(NameKind::Plugin, name)?),
            (Some(_), Some(_)) => {
                return Err(serde_json::Error::custom(
                    "found both `capability` and `plugin`, expected one of them",
                ));
            }
            (None, None) => {
                return Err(serde_json::Error::custom(
                    "found neither `capability` nor `plugin`, expected one of them",
                ));
            }
        };
        Ok(Need {
            dependency,
            version: fields.version,
            optional: fields.optional,
        })
    }
}

impl From<Need> for NeedFields {
    fn from(need: Need) -> Self {
        let (capability, plugin) = match need.dependency {
            Dependency::Capability(name) => (Some(name), None),
            Dependency::Plugin(name) => (None, Some(name)),
        };
        NeedFields {
            capability,
            plugin,
            version: need.version,
            optional: need.optional,
        }
    }
}

pub(super) fn plugin_name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    named(NameKind::Plugin, String::deserialize(from)?)
}

pub(super) fn capability_name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    named(NameKind::Capability, String::deserialize(from)?)
}

pub(super) fn namespaces<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    names
        .into_iter()
        .map(|name| named(NameKind::Namespace, name))
        .collect()
}

/// Two capabilities of one name could not be told apart by a caller.
pub(super) fn capabilities<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Vec<Capability>, D::Error> {
    let capabilities = Vec::<Capability>::deserialize(from)?;
    let mut names: Vec<&str> = capabilities.iter().map(|each| each.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(capabilities),
        Some(pair) => Err(D::Error::custom(format_args!(
            "found two capabilities named `{}`, expected each name once",
            pair[0]
        ))),
    }
}

pub(super) fn any_schema() -> Value {
    Value::Bool(true)
}

pub(super) fn default_capacity() -> u32 {
    1024
}

pub(super) fn default_concurrency() -> u32 {
    1
}

fn named<E: serde::de::Error>(kind: NameKind, name: String) -> Result<String, E> {
    kind.check(&name).map_err(E::custom)?;
    Ok(name)
}
