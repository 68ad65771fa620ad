//! Opens a staged copy and checks its ABI: versions first, then the layout of every type.
//!
//! The check keeps nothing of the library: the usual one of `abi_stable` remembers the plugin's
//! static data process-wide, which would be read after an unload.

mod mismatch;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use octa_plugin_abi::{
    self as abi, Root_Ref,
    abi_stable::{
        StableAbi,
        abi_stability::abi_checking::{CheckingGlobals, check_layout_compatibility_with_globals},
        library::{AbiHeaderRef, LibHeader, ROOT_MODULE_LOADER_NAME_WITH_NUL},
    },
};
use octa_plugin_api::export::Linked;
use parking_lot::Mutex;
use thiserror::Error;

use crate::{Manifest, generation::Generation, hash::ContentHash, stage::Staged};

/// A mapped library. Never closed: a generation that cannot be shown to be free stays mapped.
pub(crate) struct Library {
    path: PathBuf,
}

impl Library {
    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }
}

/// Opens libraries and remembers whose layout was checked.
#[derive(Debug, Default)]
pub struct Opener {
    /// Contents whose layout fits: the check costs more than the opening itself.
    fitting: Mutex<HashSet<ContentHash>>,
}

/// Why a library could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The dynamic linker refused it.
    #[error("cannot open the library of plugin `{plugin}`")]
    Link {
        /// The plugin.
        plugin: String,
        /// What the linker says: a missing library or symbol, most often.
        source: libloading::Error,
    },
    /// It has a manifest, and no entry point.
    #[error("plugin `{plugin}` has a manifest but exports no root module")]
    NoRoot {
        /// The plugin.
        plugin: String,
    },
    /// It was laid out by another version of the ABI or of its tools.
    #[error(
        "plugin `{plugin}` speaks ABI {found} (fingerprint {fingerprint}), this host {expected}: {difference}"
    )]
    Mismatch {
        /// The plugin.
        plugin: String,
        /// The version of the plugin.
        found: String,
        /// The fingerprint of the plugin's ABI.
        fingerprint: String,
        /// The version of the host.
        expected: String,
        /// What differs, in at most four lines.
        difference: String,
    },
}

impl OpenError {
    /// The way out.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Link { .. } => {
                "build the plugin on a system no newer than this one, and ship the libraries it needs".to_owned()
            }
            Self::NoRoot { .. } => "export the plugin with `#[tentacle]`, in a crate whose type is `cdylib`".to_owned(),
            Self::Mismatch { expected, .. } => {
                format!("rebuild the plugin against octa-plugin-api with ABI {expected}")
            }
        })
    }
}

impl Opener {
    /// Opens a staged copy: runs its constructors, then checks before anything else is called.
    ///
    /// # Errors
    ///
    /// If it cannot be linked, is no plugin, or was laid out by another version of the ABI.
    pub fn open(
        &self,
        staged: &Staged,
        manifest: Arc<Manifest>,
    ) -> Result<Arc<Generation>, OpenError> {
        let header = header_of(&staged.path, &manifest)?;
        let mismatch = |difference| OpenError::Mismatch {
            plugin: manifest.name.clone(),
            found: format!("{}.{}", manifest.abi.major, manifest.abi.minor),
            fingerprint: manifest.abi.fingerprint.to_string(),
            expected: format!("{}.{}", abi::MAJOR, abi::MINOR),
            difference,
        };
        let header = header
            .upgrade()
            .map_err(|e| mismatch(mismatch::first_line(&e.to_string())))?;
        if !self.fitting.lock().contains(&staged.hash) {
            check_layout(header).map_err(&mismatch)?;
            self.fitting.lock().insert(staged.hash);
        }
        // SAFETY: the layout was checked, now or before, for these very bytes.
        let root = unsafe { header.init_root_module_with_unchecked_layout::<Root_Ref>() }
            .map_err(|e| mismatch(mismatch::first_line(&e.to_string())))?;
        let library = Library {
            path: staged.path.clone(),
        };
        Ok(Generation::new(
            manifest,
            Some(staged.hash),
            root,
            Some(library),
        ))
    }
}

/// The root module of a plugin that is part of the host's own program, as in tests.
#[derive(Clone, Copy)]
pub struct LinkedRoot(Root_Ref);

impl LinkedRoot {
    /// That of this plugin.
    pub fn of(plugin: &Linked) -> Self {
        Self(plugin.root)
    }

    /// A generation that is never mapped or unmapped.
    pub fn generation(self, manifest: Arc<Manifest>) -> Arc<Generation> {
        Generation::new(manifest, None, self.0, None)
    }
}

impl std::fmt::Debug for LinkedRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkedRoot")
    }
}

fn header_of(path: &Path, manifest: &Manifest) -> Result<AbiHeaderRef, OpenError> {
    // SAFETY: runs the library's constructors, which is what accepting a plugin means.
    let library = unsafe { libloading::Library::new(path) }.map_err(|source| OpenError::Link {
        plugin: manifest.name.clone(),
        source,
    })?;
    // SAFETY: the symbol is a header of `abi_stable`, as every version of it lays it out.
    let header =
        unsafe { library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()) }
            .map(|symbol| *symbol)
            .map_err(|_| OpenError::NoRoot {
                plugin: manifest.name.clone(),
            });
    // Also where it is refused: its constructors ran, and may have left threads and
    // destructors behind that return to its code.
    std::mem::forget(library);
    header
}

fn check_layout(header: &LibHeader) -> Result<(), String> {
    let Some(found) = header.layout() else {
        return Err("the library carries no layout to check".to_owned());
    };
    // Whichever side is newer may have more functions at the end of its tables, and the check
    // wants the older one first.
    let check = |older, newer| {
        check_layout_compatibility_with_globals(older, newer, &CheckingGlobals::new())
    };
    check(Root_Ref::LAYOUT, found)
        .or_else(|errors| check(found, Root_Ref::LAYOUT).map_err(|_| errors))
        .map_err(|errors| mismatch::describe(&errors))
}
