//! One loaded copy of a plugin's code, from opening to the end: what keeps track of whether its
//! code may still be entered.

use std::{fmt, path::PathBuf, sync::Arc};

use octa_plugin_abi as abi;

use crate::{Manifest, gate::Gate, hash::ContentHash, library::Library};

/// A loaded copy of a plugin's code.
pub struct Generation {
    manifest: Arc<Manifest>,
    hash: Option<ContentHash>,
    root: abi::Root_Ref,
    /// Open from loading until nothing may enter the code any more.
    gate: Gate,
    library: Option<Library>,
}

impl Generation {
    pub(crate) fn new(
        manifest: Arc<Manifest>,
        hash: Option<ContentHash>,
        root: abi::Root_Ref,
        library: Option<Library>,
    ) -> Arc<Self> {
        let gate = Gate::default();
        gate.open();
        Arc::new(Self {
            manifest,
            hash,
            root,
            gate,
            library,
        })
    }

    /// What the plugin says of itself.
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// The hash of the file it was loaded from; `None` where it is linked into the program.
    pub fn hash(&self) -> Option<ContentHash> {
        self.hash
    }

    /// Where the private copy lies that is mapped; `None` where it is linked into the program.
    pub fn staged_at(&self) -> Option<&PathBuf> {
        self.library.as_ref().map(Library::path)
    }

    pub(crate) fn root(&self) -> abi::Root_Ref {
        self.root
    }

    /// Whether this code is part of the host's own program.
    pub(crate) fn is_linked(&self) -> bool {
        self.library.is_none()
    }

    /// Does what needs the plugin's code to be there, or nothing if it is not.
    pub(crate) fn while_there(&self, work: impl FnOnce()) {
        if let Some(inside) = self.gate.enter() {
            work();
            self.gate.leave(inside);
        }
    }

    /// Ends the use of this code: late wakers do nothing from now on. The code stays mapped,
    /// because nothing shows yet that no thread and no destructor will return to it.
    pub fn retire(&self) {
        self.gate.close();
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation")
            .field("plugin", &self.manifest.name)
            .field("hash", &self.hash)
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}
