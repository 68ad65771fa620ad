//! The content hash: what tells one plugin file from another, whatever its name and date.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// BLAKE3 hash of a file's whole content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// Hashes bytes that are in memory.
    pub fn of(bytes: &[u8]) -> Self {
        blake3::hash(bytes).into()
    }

    /// The 32 bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 hexadecimal digits: enough for people and file names.
    pub fn short(&self) -> impl fmt::Display + use<> {
        Hex(self.0, 6)
    }
}

impl From<blake3::Hash> for ContentHash {
    fn from(hash: blake3::Hash) -> Self {
        ContentHash(hash.into())
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(self.0, 32).fmt(f)
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// The first bytes of a hash, as lowercase hexadecimal digits.
struct Hex([u8; 32], usize);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..self.1]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that is no content hash.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("found `{}`, expected 64 hexadecimal digits", found.escape_debug())]
pub struct ContentHashError {
    found: String,
}

impl FromStr for ContentHash {
    type Err = ContentHashError;

    fn from_str(text: &str) -> Result<Self, ContentHashError> {
        let hash = blake3::Hash::from_hex(text).map_err(|_| ContentHashError {
            found: text.to_owned(),
        })?;
        Ok(hash.into())
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_and_read_as_hexadecimal() {
        let hash = ContentHash::of(b"");
        assert_eq!(hash.short().to_string(), "af1349b9f5f9");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        let error = "af13".parse::<ContentHash>().expect_err("too short");
        assert_eq!(
            error.to_string(),
            "found `af13`, expected 64 hexadecimal digits"
        );
    }
}
