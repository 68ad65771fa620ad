//! The kernel that is measured: one real plugin or copies of it, from a directory, and everything
//! as by default but the storage, which no row touches.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use octa_kernel::{
    Kernel,
    config::{Config, Placement},
    lifecycle::State,
    storage::Memory,
};
use octa_loader::Pattern;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::template::Template;

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
        Self::start_many(plugin, 1, config)
    }

    /// Starts so many that all offer what the plugin does: itself, and copies of it under other
    /// names.
    pub(crate) fn start_many(plugin: &Path, count: usize, config: Config) -> Result<Self> {
        let directory = TempDir::with_prefix("octa-bench-")?;
        let plugins = directory.path().join("plugins");
        fs::create_dir(&plugins)?;
        install(plugin, &plugins.join("libbench.so"))?;
        copy(plugin, count, &plugins)?;
        let config = with_copies(config, count)?;
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

/// What `octa.toml` says, for so many plugins; see [`Host::start_many`].
pub(crate) fn with_copies(mut config: Config, count: usize) -> Result<Config> {
    let own: Pattern = format!("{NAME}.**").parse()?;
    for number in 1..count {
        let plugin = config.plugins.entry(copy_name(number)).or_default();
        plugin.allow.provide.push(own.clone());
        plugin.allow.subscribe.push(own.clone());
    }
    Ok(config)
}

fn copy_name(number: usize) -> String {
    format!("b{number:0width$}", width = NAME.len() - 1)
}

/// Puts copies of a plugin into a directory, so many with itself.
fn copy(plugin: &Path, count: usize, to: &Path) -> Result<()> {
    let file = fs::read(plugin).with_context(|| format!("cannot read `{}`", plugin.display()))?;
    let named = |name: &str| format!("\"name\":\"{name}\"");
    let mut template = Template::of(file, &named(NAME))?;
    for number in 1..count {
        let copy = template.with(&named(&copy_name(number)))?;
        fs::write(to.join(format!("lib{number}.so")), copy)?;
    }
    Ok(())
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
