//! Write Octamillia plugins: typed, safe, without a runtime or an ABI in sight.
//!
//! ```
//! use octa_plugin_api::{Context, Result, Schema, tentacle};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Default, Serialize, Deserialize, Schema)]
//! struct Lamp {
//!     on: bool,
//! }
//!
//! #[derive(Default)]
//! struct Lamps;
//!
//! /// Switches lamps and remembers them.
//! #[tentacle(name = "lamps", storage = "lamps", publishes = "lamps.**")]
//! impl Lamps {
//!     /// Turns a lamp on and returns its new state.
//!     #[capability("lamps.turn_on", idempotent)]
//!     async fn turn_on(&self, ctx: &Context, id: String) -> Result<Lamp> {
//!         let lamp = ctx.storage().update(&id, |lamp: &mut Lamp| lamp.on = true).await?;
//!         ctx.publish("lamps.changed", &lamp).await?;
//!         Ok(lamp)
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! What a plugin may reach comes through [`Context`]; what it offers is declared by the
//! [`tentacle`] attribute, from which its manifest is made.

#![expect(
    unsafe_code,
    reason = "the plugin's half of the boundary; what authors write needs none"
)]

// What the macros make says `::octa_plugin_api`, also in the tests of this crate.
#[cfg(test)]
extern crate self as octa_plugin_api;

mod alloc;
mod block_on;
mod call;
mod clock;
mod context;
mod error;
#[doc(hidden)]
pub mod export;
mod guard;
mod host;
mod io;
mod journal;
mod log_forwarder;
mod payload;
pub mod schema;
mod subscription;
mod tentacle;
mod values;
mod waker;
mod work;

pub use alloc::CountingAllocator;
pub use block_on::block_on;
pub use context::{Context, Task};
pub use error::{Error, ErrorKind, Result};
pub use io::{Input, Output};
#[doc(hidden)]
pub use io::{decode, decode_answer};
pub use journal::{Consumer, Fact, Gathered, Journal, Novelty, Recorded, Unfinished};
pub use log;
#[doc(hidden)]
pub use octa_plugin_abi as abi;
pub use octa_plugin_macros::tentacle;
pub use payload::{Payload, PayloadWriter};
pub use schema::{Json, Schema};
pub use subscription::{Event, FromEvent, Subscription};
pub use tentacle::Tentacle;
pub use values::{Batch, Change, Entry, Expect, Page, State, Storage, Versioned, Watch};

#[doc(hidden)]
pub use payload::host_buffer;
