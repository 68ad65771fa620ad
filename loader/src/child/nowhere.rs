//! Systems without worker processes: there is none, so nothing can be asked of one.

use std::{convert::Infallible, sync::Arc};

use octa_plugin_abi as abi;
use octa_plugin_api::Error;
use octa_wire::Confinement;

use super::{Exit, WorkerError, WorkerOptions};
use crate::{
    Manifest, bridge::Bridge, generation::Generation, instance::CreateOptions, stage::Staged,
    unload::Unload,
};

/// A process that carries plugins.
#[derive(Debug, Clone)]
pub struct Worker(Infallible);

impl Worker {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// There are none on this system.
    pub fn start(_: &WorkerOptions) -> Result<Self, WorkerError> {
        Err(WorkerError::Unsupported)
    }

    /// Opens a library in it.
    ///
    /// # Errors
    ///
    /// None: there is no such process.
    pub fn open(&self, _: &Staged, _: Arc<Manifest>) -> Result<Arc<Generation>, WorkerError> {
        match self.0 {}
    }

    /// Its number in the system.
    pub fn id(&self) -> u32 {
        match self.0 {}
    }

    /// What it is kept from.
    pub fn confinement(&self) -> &Confinement {
        match self.0 {}
    }

    /// Whether libraries can still be opened in it.
    pub fn is_open(&self) -> bool {
        match self.0 {}
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        match self.0 {}
    }

    /// Calls this when it ends.
    pub fn on_end(&self, _: impl FnOnce(&Exit) + Send + 'static) {
        match self.0 {}
    }

    /// Ends it.
    pub fn kill(&self, _: &str) {
        match self.0 {}
    }

    pub(crate) fn create(
        &self,
        _: u32,
        _: &Arc<Bridge>,
        _: &CreateOptions,
    ) -> Result<(abi::PluginFunctions_Ref, *const ()), Error> {
        match self.0 {}
    }

    pub(crate) fn close(&self, _: u32) -> Unload {
        match self.0 {}
    }
}
