//! A kernel for compiled plugins: it discovers them in a directory, loads and starts them in
//! the order of their dependencies, and from then on stands between them and everything else:
//! events, services, state, storage, time, logging, configuration.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use octa_kernel::{Kernel, storage::Sqlite};
//!
//! let kernel = Kernel::builder().plugins("plugins/").storage(Sqlite::open("home.db")?).build()?;
//! kernel.start().await?;
//! let lamp: serde_json::Value = kernel.call("devices.turn_on", "lamp_1").await?;
//! let mut changes = kernel.subscribe("device.**").await?;
//! # let _ = (lamp, changes.recv().await);
//! kernel.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! It prints nothing, reads no environment, and installs no logger and no signal handler: that
//! is up to the program around it.
#![forbid(unsafe_code)]

mod backoff;
mod builder;
mod dead_letters;
mod deliveries;
mod facilities;
mod fate;
mod ids;
mod kernel;
mod linked;
mod manager;
mod nearest;
mod pool;
mod reload;
mod services;
mod spare;
mod status;
mod sync;
mod watchdog;
mod why;

pub mod authorize;
pub mod bus;
pub mod config;
pub mod journal;
pub mod lifecycle;
pub mod plan;
pub mod state;
pub mod storage;
pub mod time;

pub use builder::{BuildError, Builder};
pub use config::Config;
pub use kernel::{
    Call, CallError, CallOptions, Capability, Kernel, Measuring, PluginError, PublishOptions,
};
pub use linked::Linked;
pub use manager::ScanError;
pub use octa_loader::{FileRules, Manifest};
pub use octa_plugin_api::{Error, ErrorKind, Payload};
pub use reload::{
    Applied, GenerationStatus, ReloadKind, ReloadPlan, Reloaded, RetiredStatus, RollbackOptions,
    StateCarried, StateSource,
};
pub use services::{
    BreakerState, BreakerStatus, CallCounts, Measured, ProviderStatus, ServiceStatus,
};
pub use status::{
    Blame, BlockedStatus, DeadLetter, FAULTS_MAX, Fault, FaultKind, Ledger, PluginStatus, Problem,
    ProcessStatus, RejectedFile, RestartStatus, SubscriptionStatus,
};
pub use why::{Cause, Why};
