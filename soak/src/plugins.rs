//! The plugins under soak and the directory that a kernel finds them in. What they do is up to
//! `tests/fixtures/soaked`.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use octa_kernel::{Config, Kernel, lifecycle::State, storage::Memory};
use tempfile::TempDir;

/// Their names, which say how one generation takes over from another.
pub(crate) const PLUGINS: [&str; 3] = ["stateless", "counting", "exclusive"];
/// The one that keeps what it handled to itself; the others publish it again.
pub(crate) const COUNTING: usize = 1;

/// One of the two builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    A,
    B,
}

impl Build {
    /// The other one.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// What it says of itself.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// The one that says so.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::A, Self::B].into_iter().find(|it| it.name() == name)
    }
}

/// The directories of the kernel, and the builds that are put there.
pub(crate) struct Home {
    builds: PathBuf,
    directory: TempDir,
}

impl Home {
    /// A home with the first build of each plugin.
    pub(crate) fn new(builds: &Path) -> Result<Self> {
        let home = Self {
            builds: builds.to_owned(),
            directory: TempDir::with_prefix("octa-soak-")?,
        };
        fs::create_dir(home.plugins())?;
        for plugin in PLUGINS {
            home.put(plugin, Build::A)?;
        }
        Ok(home)
    }

    /// A kernel that has started the plugins.
    pub(crate) async fn start(&self) -> Result<Kernel> {
        let port = free_port()?;
        // What a generation leaves behind for its probation is gone soon.
        let toml =
            format!("[kernel]\nprobation = \"250ms\"\n[plugins.exclusive.config]\nport = {port}\n");
        let kernel = Kernel::builder()
            .plugins(self.plugins())
            .data(self.data())
            .config(Config::parse(&toml, "octa.toml")?)
            .storage(Memory::new())
            .build()?;
        kernel.start().await?;
        let plugins = kernel.plugins();
        ensure!(
            plugins.len() == PLUGINS.len() && plugins.iter().all(|it| it.state == State::Started),
            "not all plugins are started: {plugins:#?} {:#?}",
            kernel.rejected()
        );
        Ok(kernel)
    }

    /// Puts a build in the place of what was there, by a rename.
    pub(crate) fn put(&self, plugin: &str, build: Build) -> Result<()> {
        let from = self.builds.join(build.name()).join(library(plugin));
        let beside = self.directory.path().join(library(plugin));
        fs::copy(&from, &beside).with_context(|| format!("cannot copy `{}`", from.display()))?;
        // Whatever the umask: others must not write to it.
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o644))?;
        Ok(fs::rename(&beside, self.plugins().join(library(plugin)))?)
    }

    fn plugins(&self) -> PathBuf {
        self.directory.path().join("plugins")
    }

    /// Where the kernel keeps its copies.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }
}

fn library(plugin: &str) -> String {
    format!("lib{plugin}.so")
}

/// A port that nobody has. Below those that systems give to connections, one of which could come
/// between two generations.
fn free_port() -> Result<u16> {
    let mut ports = 20_000..30_000;
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    ports.find(is_free).context("no port is free")
}
