//! Looks into a plugin file without loading it: bytes only, none of its code runs.
//!
//! The file is read once; its hash, its machine and its manifest come from those bytes.
//! Whether this host may run it is a second question, answered by [`Inspection::verdict`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::hash::ContentHash;
use crate::manifest::Manifest;
use crate::source::{self, Bytes, FileRules};

mod content;
mod elf;
mod error;
mod machine;
mod macho;
mod note;
mod pe;
mod verdict;

pub use content::Content;
pub use error::{InspectError, InspectFault};
pub use machine::{Format, Machine};
pub use verdict::{HostFacts, Refusal, System};

/// What a plugin file is, as far as its bytes tell.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Inspection {
    /// The file that was inspected.
    pub path: PathBuf,
    /// Hash of its whole content.
    pub hash: ContentHash,
    /// Its length in bytes.
    pub size: u64,
    /// The machine that it was compiled for, as its headers tell.
    pub machine: Machine,
    /// What it says of itself.
    pub manifest: Manifest,
    /// The rules that it was accepted under; they hold when it is read again.
    pub rules: FileRules,
    /// Its bytes, until they are staged, where that is soon.
    pub(crate) held: Held,
}

/// The bytes of a file, for the first who takes them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(Arc<Mutex<Option<Bytes>>>);

impl Held {
    pub(crate) fn take(&self) -> Option<Bytes> {
        self.0.lock().take()
    }
}

impl PartialEq for Held {
    /// Whoever holds them, they are those of the same hash.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Inspection {
    /// Lets go of the bytes: it is not staged soon.
    pub fn put_aside(&self) {
        drop(self.held.take());
    }
}

/// Reads a file once, hashes it, and finds and checks its manifest.
///
/// ELF, Mach-O and PE libraries of any machine are understood on every host.
///
/// # Errors
/// If the rules do not accept the file, it is not a library, it is damaged, it is not a plugin, or
/// its manifest cannot be used.
pub fn inspect(path: &Path, rules: FileRules) -> Result<Inspection, InspectError> {
    let inspection = inspect_to_stage(path, rules)?;
    inspection.put_aside();
    Ok(inspection)
}

/// The same, and holds the bytes, so that [`StageDir::stage`](crate::StageDir::stage) writes them
/// without reading the file again.
///
/// # Errors
/// As [`inspect`].
pub fn inspect_to_stage(path: &Path, rules: FileRules) -> Result<Inspection, InspectError> {
    examine(path, rules).map_err(|fault| InspectError {
        path: path.to_owned(),
        fault,
    })
}

fn examine(path: &Path, rules: FileRules) -> Result<Inspection, InspectFault> {
    let (file, size) = source::open(path, rules)?;
    let (bytes, hash) = source::read(file, size)?;
    let (machine, manifest) = parse(&bytes)?;
    Ok(Inspection {
        path: path.to_owned(),
        hash,
        size: bytes.len() as u64,
        machine,
        manifest,
        rules,
        held: Held(Arc::new(Mutex::new(Some(bytes)))),
    })
}

fn parse(bytes: &[u8]) -> Result<(Machine, Manifest), InspectFault> {
    let image = match Content::of(bytes) {
        Content::Library(Format::Elf) => elf::read(bytes)?,
        Content::Library(Format::MachO) => macho::read(bytes)?,
        Content::Library(Format::Pe) => pe::read(bytes)?,
        found => return Err(InspectFault::NotALibrary { found }),
    };
    let manifest = match image.manifests.as_slice() {
        [] => return Err(InspectFault::NoManifest),
        [manifest] => *manifest,
        several => {
            return Err(InspectFault::SeveralManifests {
                count: several.len(),
            });
        }
    };
    Ok((image.machine, Manifest::from_json(manifest)?))
}

/// What the headers of a library lead to.
#[derive(Debug)]
struct Image<'a> {
    machine: Machine,
    /// The JSON of each of our notes, in the order of the file.
    manifests: Vec<&'a [u8]>,
}

#[cfg(test)]
mod tests;
