//! What a plugin says of itself: the JSON that its compiled file carries.
//!
//! Finding that JSON in a file is the job of `inspect`; whether its wishes are granted is the
//! kernel's.

use std::time::Duration;

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::pattern::Pattern;
use policy::{Policy, optional_milliseconds};

mod check;
mod error;
mod parse;
pub mod policy;
mod version;

pub use error::ManifestError;
pub use version::{AbiVersion, Fingerprint, FormatVersion};

/// Largest manifest that is read, in bytes.
pub const MANIFEST_BYTES_MAX: usize = 1 << 20;

/// A plugin's description of itself.
///
/// One that came from [`Manifest::from_json`] has well-formed names and patterns, and no two
/// capabilities of one name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub manifest: FormatVersion,
    /// The plugin's name: `[a-z][a-z0-9-]*`, 1 to 64 characters.
    #[serde(deserialize_with = "parse::plugin_name")]
    pub name: String,
    /// The plugin's own version.
    pub version: Version,
    /// What the plugin does, for people.
    #[serde(default)]
    pub description: String,
    /// Licence expression of the plugin.
    #[serde(default)]
    pub license: String,
    /// The ABI that the plugin was built against.
    pub abi: AbiVersion,
    /// The compiler that built it, as it names itself.
    pub compiler: String,
    /// What a panic does in it.
    pub panic: PanicStrategy,
    /// The target triple that it was built for.
    pub target: String,
    /// Whose allocator it uses; an absent field claims nothing.
    #[serde(default)]
    pub allocator: Allocator,
    /// What it offers; the index is the number of the handler.
    #[serde(default, deserialize_with = "parse::capabilities")]
    pub capabilities: Vec<Capability>,
    /// What it listens to; the index is the number of the handler.
    #[serde(default)]
    pub subscriptions: Vec<Subscription>,
    /// What it depends on.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// What it wants to reach.
    #[serde(default)]
    pub permissions: Permissions,
    /// JSON Schema of its section in the configuration.
    #[serde(default)]
    pub config: Option<Value>,
    /// Version of the state that it saves and restores, if it does.
    #[serde(default)]
    pub state_version: Option<u32>,
    /// How a new generation may take over.
    #[serde(default)]
    pub reload: ReloadMode,
    /// Where an instance may live.
    #[serde(default)]
    pub placement: Placement,
}

/// What a panic does in a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PanicStrategy {
    /// It unwinds, so that the guards at the boundary can stop it.
    Unwind,
    /// It ends the process.
    Abort,
}

/// Whose allocator a plugin uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Allocator {
    /// The plugin API's, which counts live bytes.
    Counting,
    /// The author's own; its bytes are not known.
    #[default]
    Own,
}

/// How a new generation may take over from the old one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReloadMode {
    /// Both may live at once.
    #[default]
    Overlap,
    /// The old one must have stopped before the new one starts.
    Exclusive,
}

/// Where an instance may live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Anywhere.
    #[default]
    Any,
    /// In a child process only.
    Process,
    /// In the kernel's process only.
    InProcess,
}

/// A named operation that a plugin offers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capability {
    /// Its name, `devices.turn_on` for example.
    #[serde(deserialize_with = "parse::capability_name")]
    pub name: String,
    /// What it does, for people.
    #[serde(default)]
    pub description: String,
    /// JSON Schema of what it takes; absent means anything.
    #[serde(default = "parse::any_schema")]
    pub input: Value,
    /// JSON Schema of what it answers; absent means anything.
    #[serde(default = "parse::any_schema")]
    pub output: Value,
    /// True if doing it twice is doing it once.
    #[serde(default)]
    pub idempotent: bool,
    /// True if its handler blocks the thread that it runs on.
    #[serde(default)]
    pub blocking: bool,
    /// Default deadline of a call, in milliseconds.
    #[serde(default)]
    pub deadline_ms: Option<u64>,
    /// How its calls are treated, unless the configuration says otherwise.
    #[serde(default, skip_serializing_if = "Policy::is_empty")]
    pub policy: Policy,
}

/// A handler for the events of some topics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// Which topics.
    pub pattern: Pattern,
    /// What is done with the events, for people.
    #[serde(default)]
    pub description: String,
    /// Most events that wait; at least 1.
    #[serde(
        default = "parse::default_capacity",
        deserialize_with = "policy::at_least_one"
    )]
    pub capacity: u32,
    /// What happens to an event that finds the queue full.
    #[serde(default)]
    pub overflow: Overflow,
    /// Most events handled at once; at least 1, and 1 keeps their order.
    #[serde(
        default = "parse::default_concurrency",
        deserialize_with = "policy::at_least_one"
    )]
    pub concurrency: u32,
    /// How often an event is tried again when its handler fails.
    #[serde(default)]
    pub retries: u32,
    /// How long the first of these waits; each further one waits longer.
    #[serde(
        default,
        rename = "backoff_ms",
        with = "optional_milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub backoff: Option<Duration>,
    /// The longest that one of them waits.
    #[serde(
        default,
        rename = "backoff_max_ms",
        with = "optional_milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub backoff_max: Option<Duration>,
    /// True if the handler blocks the thread that it runs on.
    #[serde(default)]
    pub blocking: bool,
}

/// What happens to an event that finds a subscription's queue full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// The event that has waited longest makes room.
    #[default]
    DropOldest,
    /// The new event is dropped.
    DropNewest,
    /// The new event replaces the waiting one of its key.
    KeepLatest,
    /// The publisher waits.
    BackPressure,
}

/// Something that a plugin depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "parse::NeedFields", into = "parse::NeedFields")]
pub struct Need {
    /// What is needed.
    pub dependency: Dependency,
    /// Which versions of the plugin that offers it will do.
    pub version: VersionReq,
    /// True if the plugin can run without it.
    pub optional: bool,
}

/// How a dependency is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dependency {
    /// By what it offers, whoever offers it.
    Capability(String),
    /// By the name of the plugin.
    Plugin(String),
}

/// What a plugin wants to reach, beside what its handlers listen to and what it offers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Permissions {
    /// Topics that it publishes.
    #[serde(default)]
    pub publish: Vec<Pattern>,
    /// Topics that it subscribes to while it runs.
    #[serde(default)]
    pub subscribe: Vec<Pattern>,
    /// Capabilities that it calls.
    #[serde(default)]
    pub call: Vec<Pattern>,
    /// Storage namespaces that it uses.
    #[serde(default, deserialize_with = "parse::namespaces")]
    pub storage: Vec<String>,
    /// State namespaces that it uses.
    #[serde(default, deserialize_with = "parse::namespaces")]
    pub state: Vec<String>,
}

#[cfg(test)]
mod tests;
