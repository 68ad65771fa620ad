//! The boundary between the kernel and compiled plugins: finds, inspects, verifies, stages and
//! opens them.
//!
//! Registries, queues and policy belong to the kernel.

#![expect(
    unsafe_code,
    reason = "all of the host's side of the boundary lies here"
)]

mod bridge;
mod child;
mod discover;
mod envelope;
mod event;
#[cfg(test)]
mod fixture;
mod gate;
mod generation;
mod hash;
mod inside;
mod inspect;
mod instance;
mod ledger;
mod library;
#[cfg(unix)]
mod link;
mod manifest;
mod name;
mod operations;
mod outcome;
mod owned;
mod pattern;
pub mod presence;
mod shard;
mod slot;
mod source;
mod stage;
mod store;
mod sync;
mod sys;
mod unload;
mod wakers;
mod watch;
mod work;

pub use bridge::{BoxFuture, Host, LogLine, Request, Submitted};
pub use child::{CallUnderWay, Exit, ExitCause, Worker, WorkerError, WorkerOptions};
pub use discover::{DiscoverError, discover};
pub use envelope::{Envelope, Terms};
pub use event::{EventParts, EventView};
pub use generation::Generation;
pub use hash::{ContentHash, ContentHashError};
pub use inspect::{
    Content, Format, HostFacts, InspectError, InspectFault, Inspection, Machine, Refusal, System,
    inspect, inspect_to_stage,
};
pub use instance::{CreateOptions, Instance, Snapshot, Started};
pub use library::{LinkedRoot, OpenError, Opener};
#[cfg(unix)]
pub use link::{ChildEnd, Link, LinkError, Parked, QUEUE_BYTES_MAX, Receiving, Violation};
pub use manifest::{
    AbiVersion, Allocator, Capability, Dependency, Fingerprint, FormatVersion, MANIFEST_BYTES_MAX,
    Manifest, ManifestError, Need, Overflow, PanicStrategy, Permissions, Placement, ReloadMode,
    Subscription, policy,
};
pub use name::{
    NAME_BYTES_MAX, NAME_SEGMENTS_MAX, NameError, NameFault, NameKind, PLUGIN_NAME_BYTES_MAX,
};
/// The major version of the ABI that this loader speaks.
pub use octa_plugin_abi::MAJOR as ABI_MAJOR;
/// What a plugin can ask of its host: the numbers of the operations.
pub use octa_plugin_abi::operation::{self, call_flag, changes_flag, expect, publish_flag};
pub use octa_wire::{Confinement, Limits, Sandbox};
pub use outcome::Outcome;
pub use pattern::Pattern;
pub use source::{FILE_BYTES_MAX, FileRules, SourceError};
pub use stage::{StageDir, StageError, Staged};
pub use store::{Attempt, Refused, SavedState, Served, Standing, Store, StoreError, Suspect};
pub use unload::{KeptCause, Unload, tidy_thread};
pub use watch::{Change, Effort, Mode, WatchError, WatchOptions, Watcher};
pub use work::Work;
