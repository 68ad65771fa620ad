//! The kernel in memory, for the tests of a plugin: the plugin as a plain Rust object, with its
//! manifest, its configuration and its permissions checked as in production.
//!
//! ```
//! use octa_plugin_api::{Context, Result, Schema, Tentacle, tentacle};
//! use octa_test_kit::{TestKernel, json};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize, Schema)]
//! struct Settings {
//!     lamp: String,
//! }
//!
//! struct Night(Settings);
//!
//! /// Turns a lamp on when night falls.
//! #[tentacle(name = "night", calls = "devices.turn_on", publishes = "night.**")]
//! impl Tentacle for Night {
//!     type Config = Settings;
//!
//!     fn create(settings: Settings) -> Result<Self> {
//!         Ok(Self(settings))
//!     }
//!
//!     #[subscribe("sun.set")]
//!     async fn night(&self, ctx: &Context) -> Result<()> {
//!         let on: bool = ctx.call("devices.turn_on", &self.0.lamp).await?;
//!         ctx.publish("night.lamp", &on).await?;
//!         Ok(())
//!     }
//! }
//!
//! // With `#[test]` over it:
//! fn a_lamp_at_night() -> Result<()> {
//!     let bench = TestKernel::plugin::<Night>()
//!         .config(json!({ "lamp": "porch" }))
//!         .allow("call", "devices.turn_on")
//!         .allow("subscribe", "sun.*")
//!         .provide("devices.turn_on", |lamp: String| Ok(lamp == "porch"))
//!         .start()?;
//!     let mut events = bench.subscribe("night.**")?;
//!     bench.publish("sun.set", &())?;
//!     assert!(events.recv::<bool>()?.data);
//!     bench.stop();
//!     Ok(())
//! }
//! # fn main() -> Result<()> { a_lamp_at_night() }
//! ```
//!
//! Everything here waits on the test's own thread, so a test needs no runtime. The clock is
//! virtual: it stands still until [`TestKernel::advance`] or [`TestKernel::tick`]. Waiting itself
//! is bounded by real time, so that a test fails rather than hangs.
#![forbid(unsafe_code)]

mod builder;
mod clock;
mod stand_in;
mod test_kernel;
mod wait;

pub use builder::Builder;
pub use octa_kernel::Kernel;
pub use serde_json::json;
pub use test_kernel::{Event, Events, TestKernel};

/// The examples of the README are compiled here, the only room that knows both sides.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
