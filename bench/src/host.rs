//! The kernel that is measured: one real plugin, from a directory, and everything as by default
//! but the storage, which no row touches.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use octa_kernel::{
    Kernel,
    config::{Config, Placement},
    lifecycle::State,
    storage::Memory,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What the plugin calls itself.
pub(crate) const NAME: &str = "bench";

/// A kernel that runs the plugin.
pub(crate) struct Host {
    pub(crate) kernel: Kernel,
    /// What the floors with tasks run on.
    pub(crate) runtime: Runtime,
    _directory: TempDir,
}

impl Host {
    pub(crate) fn start(plugin: &Path, placement: Placement) -> Result<Self> {
        Self::start_with(plugin, placed(placement))
    }

    pub(crate) fn start_with(plugin: &Path, config: Config) -> Result<Self> {
        let directory = TempDir::with_prefix("octa-bench-")?;
        let plugins = directory.path().join("plugins");
        fs::create_dir(&plugins)?;
        install(plugin, &plugins.join("libbench.so"))?;
        let kernel = Kernel::builder()
            .plugins(plugins)
            .data(directory.path().join("data"))
            .storage(Memory::new())
            .config(config)
            .worker(std::env::current_exe()?)
            .build()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
        runtime.block_on(kernel.start())?;
        expect_started(&kernel)?;
        Ok(Self {
            kernel,
            runtime,
            _directory: directory,
        })
    }

    pub(crate) fn stop(self) {
        self.runtime.block_on(self.kernel.stop());
    }
}

/// Everything as by default, but where the plugin lives.
pub(crate) fn placed(placement: Placement) -> Config {
    let mut config = Config::default();
    let plugin = config.plugins.entry(NAME.to_owned());
    plugin.or_default().containment.placement = placement;
    config
}

/// Fails unless everything in the kernel's directory is a plugin that runs.
pub(crate) fn expect_started(kernel: &Kernel) -> Result<()> {
    for plugin in kernel.plugins() {
        if plugin.state != State::Started {
            bail!("the plugin is not started: {:?}", plugin.problems);
        }
    }
    if let Some(file) = kernel.rejected().first() {
        bail!("`{}` is no plugin: {file:?}", file.path.display());
    }
    Ok(())
}

/// Copies a plugin to where the kernel accepts it: nobody else may be able to change it.
pub(crate) fn install(plugin: &Path, to: &Path) -> Result<()> {
    let copy = || {
        fs::copy(plugin, to)?;
        let mut permissions = fs::metadata(to)?.permissions();
        permissions.set_readonly(true);
        fs::set_permissions(to, permissions)
    };
    copy().with_context(|| format!("cannot copy `{}`", plugin.display()))
}
