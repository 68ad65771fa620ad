//! The frozen ABI between the Octamillia kernel and its plugins.
//!
//! This crate is a document: `repr(C)` types, function signatures, codes, and the
//! contract of each. It has no behaviour; safe wrappers live in `octa-plugin-api` (the
//! plugin's side) and `octa-loader` (the host's side).
//!
//! # What may change
//!
//! * Function tables ([`PluginFunctions`], [`HostFunctions`], [`BufferFunctions`],
//!   [`WakerFunctions`], [`Root`]) may gain functions **at the end**, in a minor version.
//! * Codes and operations are integers; a side that meets one it does not know answers
//!   [`code::UNSUPPORTED`].
//! * Nothing else changes: data types never grow. What a call, an event or an error needs
//!   later travels in `headers` (a JSON object) or in the JSON of a payload.
//!
//! # How a function is described
//!
//! Every function carries four tags; a test finds functions without them.
//!
//! * **who**: the side that calls it.
//! * **when**: the states of the instance, host or object in which it may be called.
//! * **where**: the threads it may be called on.
//! * **whose**: who owns what is passed and returned, and until when.
//!
//! Pointers named `instance`, `host`, `data` and `owner` are opaque to the other side.
//! Nothing unwinds across: each function returns a status, or nothing.
#![cfg_attr(not(test), no_std)]
#![expect(
    non_camel_case_types,
    reason = "names that the derive macros of abi_stable generate"
)]
#![expect(
    missing_debug_implementations,
    reason = "pointers and tables of the two sides: nothing to show"
)]

pub mod manifest;

pub mod code;
pub mod operation;
pub mod status;

mod buffer;
mod envelope;
mod event;
mod fingerprint;
mod future;
mod host;
mod plugin;
mod root;

pub use buffer::{Buffer, BufferFunctions, BufferFunctions_Ref, BufferOwner, Bytes};
pub use envelope::{Envelope, NO_DEADLINE, Reply, content_type};
pub use event::Event;
pub use fingerprint::FINGERPRINT;
pub use future::{Future, Slot, Waker, WakerFunctions, WakerFunctions_Ref, WakerHead};
pub use host::{Host, HostFunctions, HostFunctions_Ref, LogRecord, Request};
pub use plugin::{CreateRequest, PluginFunctions, PluginFunctions_Ref, control, create_flag};
pub use root::{Root, Root_Ref};

/// The dependency this ABI is laid in, for the two crates that wrap it.
pub use abi_stable;
pub use abi_stable::std_types::{RSlice, RStr};

/// The major version: another one is another, incompatible ABI.
pub const MAJOR: u32 = 1;

/// The minor version: counts the functions and codes added since `MAJOR.0`.
pub const MINOR: u32 = 0;
