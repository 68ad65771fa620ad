//! Opens a staged copy and checks its ABI: versions first, then the layout of every type.
//!
//! The check keeps nothing of the library: the usual one of `abi_stable` remembers the plugin's
//! static data process-wide, which would be read after an unload.

mod mismatch;

use std::{
    collections::HashSet,
    fmt, mem,
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

use crate::{
    Manifest,
    generation::Generation,
    hash::ContentHash,
    inside::{self, Owner},
    presence::{Errand, Step},
    stage::Staged,
    sys::Code,
    unload::Unload,
};

/// A library that was opened. Dropping this leaves it mapped.
pub(crate) struct Library {
    path: PathBuf,
    code: Code,
}

impl Library {
    fn open(path: &Path) -> Result<Self, libloading::Error> {
        Ok(Self {
            path: path.to_owned(),
            code: Code::open(path)?,
        })
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Whose code runs where it is entered.
    pub(crate) fn owner(&self) -> Owner {
        self.code.owner()
    }

    /// Nothing enters it any more.
    pub(crate) fn retire(&self) {
        self.code.retire();
    }

    /// Unmaps it, if nothing returns to it; after [`retire`](Self::retire).
    pub(crate) fn close(&self) -> Unload {
        match self.code.close() {
            Ok(()) => Unload::Unmapped,
            Err(causes) => Unload::Kept(causes),
        }
    }

    fn header(&self) -> Option<AbiHeaderRef> {
        let name = ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes();
        // SAFETY: the symbol is a header of `abi_stable`, as every version of it lays it out.
        unsafe { self.code.exported(name) }
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Library({})", self.path.display())
    }
}

/// How many contents are remembered whose layout fits: a kernel may see new ones without end.
const FITTING_MAX: usize = 256;

/// Opens libraries and remembers whose layout was checked.
#[derive(Debug, Default)]
pub struct Opener {
    /// Contents whose layout fits: the check costs more than the opening itself.
    fitting: Mutex<HashSet<ContentHash>>,
    /// Libraries that were refused, and are mapped: their constructors ran, and may have left
    /// something behind that returns to their code.
    refused: Mutex<Vec<Library>>,
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
        let library = Library::open(&staged.path).map_err(|source| OpenError::Link {
            plugin: manifest.name.clone(),
            source,
        })?;
        // What is asked of the library below are functions of its own.
        match inside::call(library.owner(), Errand::step(Step::Load), || {
            self.root(&library, staged, &manifest)
        }) {
            Ok(root) => Ok(Generation::new(
                manifest,
                Some(staged.hash),
                root,
                Some(library),
            )),
            Err(refused) => {
                library.retire();
                if library.close() != Unload::Unmapped {
                    self.refused.lock().push(library);
                }
                Err(refused)
            }
        }
    }

    /// Tries again to unmap libraries that were refused after they were opened; answers what
    /// became of each. Those that are unmapped are forgotten.
    pub fn unload_refused(&self) -> Vec<(PathBuf, Unload)> {
        let refused = mem::take(&mut *self.refused.lock());
        let unload = |library: Library| (library.close(), library);
        let tried: Vec<_> = refused.into_iter().map(unload).collect();
        let told = |(unload, library): &(Unload, Library)| (library.path.clone(), unload.clone());
        let told = tried.iter().map(told).collect();
        let kept = tried
            .into_iter()
            .filter(|(unload, _)| *unload != Unload::Unmapped);
        self.refused.lock().extend(kept.map(|(_, library)| library));
        told
    }

    fn root(
        &self,
        library: &Library,
        staged: &Staged,
        manifest: &Manifest,
    ) -> Result<Root_Ref, OpenError> {
        let header = library.header().ok_or_else(|| OpenError::NoRoot {
            plugin: manifest.name.clone(),
        })?;
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
            let mut fitting = self.fitting.lock();
            if fitting.len() >= FITTING_MAX {
                fitting.clear();
            }
            fitting.insert(staged.hash);
        }
        // SAFETY: the layout was checked, now or before, for these very bytes.
        unsafe { header.init_root_module_with_unchecked_layout::<Root_Ref>() }
            .map_err(|e| mismatch(mismatch::first_line(&e.to_string())))
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

impl fmt::Debug for LinkedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkedRoot")
    }
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
