//! Plugins that are part of the host's own program: the same object, without a file.

use std::sync::Arc;

use octa_loader::{LinkedRoot, Manifest, ManifestError};

/// A plugin that is linked into this program; made by `octa_plugin_api::export::linked`.
#[derive(Debug, Clone)]
pub struct Linked {
    root: LinkedRoot,
    manifest: Arc<Manifest>,
}

impl Linked {
    /// Takes a plugin in.
    ///
    /// # Errors
    ///
    /// If its manifest is none.
    pub fn new(plugin: &octa_plugin_api::export::Linked) -> Result<Self, ManifestError> {
        let manifest = Manifest::from_json(plugin.manifest.as_bytes())?;
        Ok(Self {
            root: LinkedRoot::of(plugin),
            manifest: Arc::new(manifest),
        })
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    pub(crate) fn root(&self) -> LinkedRoot {
        self.root
    }
}
