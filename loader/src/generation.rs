//! One loaded copy of a plugin's code, from opening to the end: what keeps track of whether its
//! code may still be entered.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use octa_plugin_abi as abi;
use octa_plugin_api::Error;

use crate::{
    Manifest,
    bridge::Bridge,
    child::Worker,
    gate::Gate,
    hash::ContentHash,
    inside::{self, Owner},
    instance::CreateOptions,
    library::Library,
    presence::{Errand, Step},
    unload::{KeptCause, Unload},
};

/// A loaded copy of a plugin's code. Dropping it leaves the code where it is.
pub struct Generation {
    manifest: Arc<Manifest>,
    hash: Option<ContentHash>,
    home: Home,
    /// Whose code runs where it is entered.
    owner: Owner,
    /// Open from loading until nothing may enter the code any more.
    gate: Gate,
    /// How many instances there are, or may soon be.
    instances: AtomicUsize,
    retired: AtomicBool,
}

/// Where code lives.
enum Home {
    /// In this process, in a library of its own or as part of the program.
    Here(abi::Root_Ref, Option<Library>),
    /// In a worker, which calls it by this number; the path is that of the private copy.
    Worker(Worker, u32, PathBuf),
}

impl Generation {
    pub(crate) fn new(
        manifest: Arc<Manifest>,
        hash: Option<ContentHash>,
        root: abi::Root_Ref,
        library: Option<Library>,
    ) -> Arc<Self> {
        let owner = library.as_ref().map_or_else(Owner::next, Library::owner);
        Self::at(Home::Here(root, library), manifest, hash, owner)
    }

    /// One that lives in a worker.
    #[cfg(target_os = "linux")]
    pub(crate) fn in_worker(
        manifest: Arc<Manifest>,
        hash: ContentHash,
        copy: PathBuf,
        worker: Worker,
        number: u32,
    ) -> Arc<Self> {
        let home = Home::Worker(worker, number, copy);
        Self::at(home, manifest, Some(hash), Owner::next())
    }

    fn at(
        home: Home,
        manifest: Arc<Manifest>,
        hash: Option<ContentHash>,
        owner: Owner,
    ) -> Arc<Self> {
        let gate = Gate::default();
        gate.open();
        Arc::new(Self {
            manifest,
            hash,
            home,
            owner,
            gate,
            instances: AtomicUsize::new(0),
            retired: AtomicBool::new(false),
        })
    }

    /// Its number, which no other one in this process has.
    pub fn number(&self) -> u32 {
        self.owner.number()
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
        match &self.home {
            Home::Here(_, library) => library.as_ref().map(Library::path),
            Home::Worker(_, _, copy) => Some(copy),
        }
    }

    /// The process that it lives in, where that is not this one.
    pub fn worker(&self) -> Option<&Worker> {
        match &self.home {
            Home::Here(..) => None,
            Home::Worker(worker, ..) => Some(worker),
        }
    }

    /// Makes an instance of it; `here` does that in this process.
    pub(crate) fn make(
        &self,
        bridge: &Arc<Bridge>,
        options: &CreateOptions,
        here: impl FnOnce(abi::PluginFunctions_Ref) -> Result<*const (), Error>,
    ) -> Result<(abi::PluginFunctions_Ref, *const ()), Error> {
        match &self.home {
            Home::Here(root, _) => {
                let functions = root.plugin();
                here(functions).map(|instance| (functions, instance))
            }
            Home::Worker(worker, number, _) => worker.create(*number, bridge, options),
        }
    }

    fn library(&self) -> Option<&Library> {
        match &self.home {
            Home::Here(_, library) => library.as_ref(),
            Home::Worker(..) => None,
        }
    }

    /// Whether this code is part of the host's own program.
    pub(crate) fn is_linked(&self) -> bool {
        matches!(self.home, Home::Here(_, None))
    }

    /// Runs code of the plugin, of which the caller knows that it is there.
    #[inline(always)]
    pub(crate) fn run<R>(&self, errand: Errand, work: impl FnOnce() -> R) -> R {
        inside::call(self.owner, errand, work)
    }

    /// Does what needs the plugin's code to be there, or nothing if it is not.
    pub(crate) fn while_there(&self, work: impl FnOnce()) {
        if let Some(inside) = self.gate.enter() {
            self.run(Errand::step(Step::Wake), work);
            self.gate.leave(inside);
        }
    }

    /// Counts an instance that is to be made; false if there may be none any more.
    pub(crate) fn admit(&self) -> bool {
        // Counted first and looked second: `unload` retires first and counts second.
        self.instances.fetch_add(1, Ordering::SeqCst);
        let is_admitted = !self.retired.load(Ordering::SeqCst);
        if !is_admitted {
            self.dismiss();
        }
        is_admitted
    }

    /// An instance that was admitted could not be made, or is destroyed and entered no more.
    /// Answers whether it was the last one.
    pub(crate) fn dismiss(&self) -> bool {
        self.instances.fetch_sub(1, Ordering::SeqCst) == 1
    }

    fn is_in_use(&self) -> bool {
        self.instances.load(Ordering::SeqCst) > 0
    }

    /// Ends the use of this code: no further instance is made, and late wakers do nothing. As
    /// soon as no instance is left, what the code left on threads goes, each at the end of that
    /// thread's next entry into a plugin.
    pub fn retire(&self) {
        self.gate.close();
        self.retired.store(true, Ordering::SeqCst);
        if let Some(library) = self.library().filter(|_| !self.is_in_use()) {
            library.retire();
        }
    }

    /// Retires the code, and unmaps it if it can be shown that nothing returns to it.
    ///
    /// Runs author's destructors, which may block: to be called on a thread to spare. What is
    /// kept may be asked for again.
    pub fn unload(&self) -> Unload {
        if self.is_linked() {
            return Unload::Kept(vec![KeptCause::PartOfProgram]);
        }
        if !self.is_in_use() {
            self.retire();
        }
        match &self.home {
            // What is left there goes with its process, or keeps it.
            Home::Worker(worker, number, _) => worker.close(*number),
            // Looked at again: an instance may have been admitted just before.
            Home::Here(..) if self.is_in_use() => Unload::Kept(vec![KeptCause::InUse]),
            Home::Here(_, library) => match (self.gate.count(), library) {
                (0, Some(library)) => library.close(),
                (inside, _) => Unload::Kept(vec![KeptCause::Entered(inside)]),
            },
        }
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
