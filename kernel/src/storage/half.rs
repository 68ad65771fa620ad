//! The mark of a database that is being filled: a copy that does not end leaves it, and no kernel starts on a part.
//!
//! Filling is the job of `copy`; the mark is a record like others, so that every adapter can have one.

use std::path::{Path, PathBuf};

use octa_plugin_api::Payload;
use serde::{Deserialize, Serialize};

use super::change::Change;
use super::record::Address;
use super::{StorageAdapter, StorageError};

const NAMESPACE: &str = "kernel.filling";
const KEY: &str = "database";
/// None that is ever given: the mark leaves the counter alone.
const VERSION: u64 = 0;

/// A database that was to be filled and holds only a part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Half {
    /// A backup of what was there before, if anything was.
    pub aside: Option<PathBuf>,
}

/// Tells whether a database was to be filled and is not whole.
///
/// # Errors
///
/// If it cannot be read.
pub async fn half(database: &dyn StorageAdapter) -> Result<Option<Half>, StorageError> {
    let mark = database.get(Address::checked(NAMESPACE, KEY)).await?;
    // Whatever it says, it is there.
    Ok(mark.map(|mark| serde_json::from_slice(&mark.value).unwrap_or_default()))
}

/// Marks a database that is to be filled.
pub(super) async fn begin(
    database: &dyn StorageAdapter,
    aside: Option<&Path>,
) -> Result<(), StorageError> {
    let half = serde_json::json!({ "aside": aside });
    set(database, Some(half.to_string().as_bytes().into())).await
}

/// Takes the mark away.
pub(super) async fn end(database: &dyn StorageAdapter) -> Result<(), StorageError> {
    set(database, None).await
}

/// Whether a record is the mark.
pub(super) fn is_mark(record: &Change) -> bool {
    *record.namespace == *NAMESPACE && *record.key == *KEY
}

async fn set(database: &dyn StorageAdapter, value: Option<Payload>) -> Result<(), StorageError> {
    let mark = Change::new(NAMESPACE, KEY, VERSION, value);
    database.replicate(&[mark], VERSION).await
}
