//! The versions that a manifest speaks of: of its own format and of the ABI.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Version of the manifest's format, written `1.0`.
///
/// Fields are added in a minor version and never change their meaning within a major one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FormatVersion {
    /// Another one is refused.
    pub major: u32,
    /// A newer one may have fields that are not known here, and they are passed over.
    pub minor: u32,
}

impl FormatVersion {
    /// The format that this loader knows.
    pub const CURRENT: FormatVersion = FormatVersion { major: 1, minor: 1 };
}

impl fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A text that is no version of a manifest's format.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("found `{}`, expected a format version such as `{}`", found.escape_debug(), FormatVersion::CURRENT)]
pub struct FormatVersionError {
    found: String,
}

impl FromStr for FormatVersion {
    type Err = FormatVersionError;

    fn from_str(text: &str) -> Result<Self, FormatVersionError> {
        text.split_once('.')
            .and_then(|(major, minor)| {
                Some(FormatVersion {
                    major: number(major)?,
                    minor: number(minor)?,
                })
            })
            .ok_or_else(|| FormatVersionError {
                found: text.to_owned(),
            })
    }
}

impl TryFrom<String> for FormatVersion {
    type Error = FormatVersionError;

    fn try_from(text: String) -> Result<Self, FormatVersionError> {
        text.parse()
    }
}

impl From<FormatVersion> for String {
    fn from(version: FormatVersion) -> String {
        version.to_string()
    }
}

/// Digits only: `u32::from_str` would take a sign as well.
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Version of the ABI that a plugin was built against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbiVersion {
    /// Must be the host's.
    pub major: u32,
    /// May be older or newer than the host's: both sides use what both know.
    pub minor: u32,
    /// Digest of the layout of the ABI's types.
    pub fingerprint: Fingerprint,
}

impl fmt::Display for AbiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Digest of the layout of the ABI's types, written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(pub u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text that is no fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("found `{}`, expected 16 hexadecimal digits", found.escape_debug())]
pub struct FingerprintError {
    found: String,
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits
            .then(|| u64::from_str_radix(text, 16).ok())
            .flatten()
            .map(Fingerprint)
            .ok_or_else(|| FingerprintError {
                found: text.to_owned(),
            })
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.to_string()
    }
}
