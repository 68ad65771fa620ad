//! What `octa.toml` says, typed: the kernel's deadlines, the storage, how calls are treated, and each
//! plugin's grants and settings.
//!
//! Reading the file and the environment is the face's business; the text and a [`Secrets`] reader
//! come in.

mod bytes;
mod capabilities;
mod containment;
mod document;
mod duration;
mod path;
mod place;
mod places;
mod schema_check;
mod schema_words;
mod secret;
mod section;
mod storage;
mod supervision;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use octa_loader::policy::Policy;
use octa_loader::{NameError, NameKind, Pattern};

use document::{Document, Node, Table};

pub(crate) use path::Path;

pub use containment::Containment;
pub use octa_loader::{Limits, Placement, Sandbox};
pub use place::Place;
pub use places::Places;
pub use schema_check::{Mismatch, check_schema};
pub use secret::{Secret, SecretError};
pub use section::{NoSecrets, Secrets, Section, Settings, SettingsError};
pub use storage::{StateConfig, StorageConfig, StorageKind, has_password};
pub use supervision::{Restart, RestartPolicy};

/// Everything that `octa.toml` can say; what it leaves out has its default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// `[kernel]`.
    pub kernel: KernelConfig,
    /// `[storage]`.
    pub storage: StorageConfig,
    /// `[state]`.
    pub state: StateConfig,
    /// `[capabilities]`: what is said over the manifests, by the capability's exact name.
    pub capabilities: BTreeMap<String, Policy>,
    /// `[pipelines]`: capabilities that are others one after the other, by name.
    pub pipelines: BTreeMap<String, Vec<String>>,
    /// `[plugins.X]` by plugin name.
    pub plugins: BTreeMap<String, PluginConfig>,
    /// Where plugins, capabilities and pipelines are written.
    pub places: Places,
}

/// How long the kernel waits, and what it watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelConfig {
    /// For a plugin's `create` and `start`.
    pub start_deadline: Duration,
    /// For a plugin's `stop`.
    pub stop_deadline: Duration,
    /// For a call that brings no deadline of its own.
    pub call_deadline: Duration,
    /// How long a new generation is watched: if it fails meanwhile, the one before comes back.
    pub probation: Duration,
    /// Whether the plugin directory is watched, and what changes in it is taken up.
    pub watch: bool,
    /// What becomes of a plugin whose file is removed.
    pub removed: Removed,
    /// How many generations may stay mapped after their end, because they cannot be shown to be
    /// free, before there are no more reloads.
    pub kept_generations: usize,
    /// How long a handler may block its thread before its plugin is given up.
    pub stuck_after: Duration,
    /// The program that carries plugins in processes of their own; `None` for where the kernel's
    /// embedder says it is.
    pub worker: Option<PathBuf>,
    /// Whether content that was never opened before is opened in a process to throw away first.
    pub vet: bool,
    /// Whether rates and latencies are measured of every capability, also of one that asks for
    /// nothing.
    pub measure: bool,
}

/// What becomes of a plugin whose file is removed while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Removed {
    /// It is stopped and unloaded.
    Stop,
    /// It goes on from the copy that the kernel has.
    Keep,
}

/// What one plugin may do and is told.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginConfig {
    /// Whether it should run; a disabled plugin stays discovered.
    pub enabled: bool,
    /// What it may reach beyond its own namespace.
    pub allow: Allow,
    /// What becomes of it when it breaks down.
    pub restart: Restart,
    /// Where it lives, and what it is kept from there.
    pub containment: Containment,
    /// Its own section, still to be settled against its schema.
    pub config: Section,
}

/// What a plugin is granted beyond its own namespace, as patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allow {
    /// Capabilities it may call.
    pub call: Vec<Pattern>,
    /// Topics it may publish.
    pub publish: Vec<Pattern>,
    /// Topics it may subscribe to.
    pub subscribe: Vec<Pattern>,
    /// Storage namespaces it may use.
    pub storage: Vec<Pattern>,
    /// State namespaces it may use.
    pub state: Vec<Pattern>,
    /// Capabilities it may provide.
    pub provide: Vec<Pattern>,
}

impl Default for KernelConfig {
    fn default() -> Self {
        KernelConfig {
            start_deadline: Duration::from_secs(10),
            stop_deadline: Duration::from_secs(10),
            call_deadline: Duration::from_secs(30),
            probation: Duration::from_secs(5),
            watch: true,
            removed: Removed::Stop,
            kept_generations: 32,
            stuck_after: Duration::from_secs(30),
            worker: None,
            vet: false,
            measure: false,
        }
    }
}

impl Default for PluginConfig {
    fn default() -> Self {
        PluginConfig {
            enabled: true,
            allow: Allow::default(),
            restart: Restart::default(),
            containment: Containment::default(),
            config: Section::default(),
        }
    }
}

/// Tells why a text is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not TOML.
    #[error("{place}: {message}")]
    Syntax {
        /// Where the parser stopped.
        place: Place,
        /// What it says, without the text around, which may hold a password.
        message: String,
    },
    /// A key or a value that has no meaning here.
    #[error("{place}: {mismatch}")]
    Mismatch {
        /// Where it is written.
        place: Place,
        /// What was found and what was expected.
        mismatch: Box<Mismatch>,
    },
    /// A name or a pattern that breaks the rules of its kind.
    #[error("{place}: `{path}`: {error}")]
    Misnamed {
        /// Where it is written.
        place: Place,
        /// The key that it is, or that it is said of.
        path: String,
        /// Which character or which length is not allowed.
        error: NameError,
    },
}

impl ConfigError {
    /// Names what was probably meant.
    pub fn hint(&self) -> Option<String> {
        match self {
            ConfigError::Syntax { .. } => None,
            ConfigError::Mismatch { mismatch, .. } => mismatch.hint(),
            ConfigError::Misnamed { error, .. } => error.hint(),
        }
    }
}

impl Config {
    /// Reads the text of a configuration file; `file_name` is what errors call it.
    ///
    /// # Errors
    ///
    /// The first thing in the text that is not understood; unknown keys are not passed over.
    pub fn parse(text: &str, file_name: &str) -> Result<Config, ConfigError> {
        let document = Document {
            file: file_name.into(),
            text,
        };
        let entries = document.parse()?;
        let root = Table {
            document: &document,
            path: Path::Root(""),
            entries: &entries,
        };
        root.only(&[
            "kernel",
            "storage",
            "state",
            "capabilities",
            "pipelines",
            "plugins",
        ])?;
        let pipelines = read(root.get("pipelines"), capabilities::pipelines)?;
        let mut places = Places::default();
        for key in ["plugins", "capabilities", "pipelines"] {
            places.note(root.get(key));
        }
        Ok(Config {
            kernel: read(root.get("kernel"), kernel)?,
            storage: read(root.get("storage"), storage::storage)?,
            state: read(root.get("state"), storage::state)?,
            capabilities: read(root.get("capabilities"), |node| {
                capabilities::capabilities(node, &pipelines)
            })?,
            pipelines,
            plugins: read(root.get("plugins"), plugins)?,
            places,
        })
    }

    /// A plugin of the same group as this one whose process would have to be another.
    pub(crate) fn group_member_unlike(&self, name: &str) -> Option<&str> {
        let own = &self.plugins.get(name)?.containment;
        let group = own.group.as_ref()?;
        let unlike = |other: &Containment| {
            other.group.as_ref() == Some(group)
                && (&other.limits, &other.sandbox) != (&own.limits, &own.sandbox)
        };
        let mut others = self.plugins.iter();
        others.find_map(|(other, it)| unlike(&it.containment).then_some(other.as_str()))
    }

    /// What is said of a plugin, or the defaults if it is not mentioned.
    pub fn plugin(&self, name: &str) -> PluginConfig {
        self.plugins.get(name).cloned().unwrap_or_default()
    }
}

fn read<T: Default>(
    node: Option<Node<'_>>,
    read: impl FnOnce(Node<'_>) -> Result<T, ConfigError>,
) -> Result<T, ConfigError> {
    node.map_or_else(|| Ok(T::default()), read)
}

fn kernel(node: Node<'_>) -> Result<KernelConfig, ConfigError> {
    let table = node.table()?;
    table.only(&[
        "start_deadline",
        "stop_deadline",
        "call_deadline",
        "probation",
        "watch",
        "removed",
        "kept_generations",
        "stuck_after",
        "worker",
        "vet",
        "measure",
    ])?;
    let default = KernelConfig::default();
    let duration = |key, default| table.get(key).map_or(Ok(default), |node| node.duration());
    Ok(KernelConfig {
        start_deadline: duration("start_deadline", default.start_deadline)?,
        stop_deadline: duration("stop_deadline", default.stop_deadline)?,
        call_deadline: duration("call_deadline", default.call_deadline)?,
        probation: duration("probation", default.probation)?,
        watch: table
            .get("watch")
            .map_or(Ok(default.watch), |node| node.boolean())?,
        removed: table.get("removed").map_or(Ok(default.removed), |node| {
            node.choice(&[("stop", Removed::Stop), ("keep", Removed::Keep)])
        })?,
        kept_generations: table
            .get("kept_generations")
            .map_or(Ok(default.kept_generations), |node| {
                node.whole("a whole number, zero or more")
            })?,
        stuck_after: duration("stuck_after", default.stuck_after)?,
        worker: table.get("worker").map(|node| node.file()).transpose()?,
        vet: table
            .get("vet")
            .map_or(Ok(default.vet), |node| node.boolean())?,
        measure: table
            .get("measure")
            .map_or(Ok(default.measure), |node| node.boolean())?,
    })
}

fn plugins(node: Node<'_>) -> Result<BTreeMap<String, PluginConfig>, ConfigError> {
    let table = node.table()?;
    table.names(NameKind::Plugin)?;
    let mut plugins = BTreeMap::new();
    for (name, node) in table.iter() {
        plugins.insert(name.to_owned(), plugin(node)?);
    }
    Ok(plugins)
}

fn plugin(node: Node<'_>) -> Result<PluginConfig, ConfigError> {
    let table = node.table()?;
    let own = ["enabled", "allow", "restart", "config"];
    table.only(&[&own[..], &containment::KEYS].concat())?;
    Ok(PluginConfig {
        enabled: table
            .get("enabled")
            .map_or(Ok(true), |node| node.boolean())?,
        allow: read(table.get("allow"), allow)?,
        restart: read(table.get("restart"), supervision::restart)?,
        containment: containment::containment(&table)?,
        config: read(table.get("config"), |node| node.section())?,
    })
}

fn allow(node: Node<'_>) -> Result<Allow, ConfigError> {
    let table = node.table()?;
    table.only(&[
        "call",
        "publish",
        "subscribe",
        "storage",
        "state",
        "provide",
    ])?;
    let patterns = |key| {
        read(table.get(key), |node| {
            node.list(document::PATTERN, |node| node.pattern())
        })
    };
    Ok(Allow {
        call: patterns("call")?,
        publish: patterns("publish")?,
        subscribe: patterns("subscribe")?,
        storage: patterns("storage")?,
        state: patterns("state")?,
        provide: patterns("provide")?,
    })
}

#[cfg(test)]
mod tests;
