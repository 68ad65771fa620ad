//! The trait a plugin author implements: one object's life, from configuration to stop.

use std::future::Future;

use serde::de::DeserializeOwned;

use crate::{
    Context, Payload,
    error::{Error, ErrorKind, Result},
    schema::Schema,
};

/// A plugin: an object that is made from its configuration, started, called, and stopped.
///
/// The [`tentacle`](crate::tentacle) attribute implements it: over `impl Lamps { … }` with the
/// defaults below, over `impl Tentacle for Lamps { … }` with what is written there. `Config`
/// and `create` may be left out where the type is `Default` and takes no configuration.
///
/// All functions run on threads that may be blocked, except `health`.
pub trait Tentacle: Sized + Send + Sync + 'static {
    /// The plugin's section of the configuration; `()` for none.
    type Config: DeserializeOwned + Schema + 'static;

    /// Makes the object. Nothing else of the kernel can be reached yet.
    ///
    /// # Errors
    ///
    /// What keeps the plugin from running at all, such as a senseless configuration.
    fn create(config: Self::Config) -> Result<Self>;

    /// Starts: everything of the kernel can be reached; events and calls come once this is done.
    ///
    /// In a generation that is to take over from another, what this publishes and spawns is held
    /// back until it has, and writes and calls that are not declared idempotent are refused:
    /// slow preparation belongs here, effects in tasks.
    fn start(&self, ctx: &Context) -> impl Future<Output = Result<()>> + Send {
        let _ = ctx;
        async { Ok(()) }
    }

    /// Stops: calls and events have ended, tasks end after this.
    fn stop(&self, ctx: &Context) -> impl Future<Output = Result<()>> + Send {
        let _ = ctx;
        async { Ok(()) }
    }

    /// How well it does, from 0.0 (no calls, please) to 1.0.
    fn health(&self) -> f64 {
        1.0
    }

    /// Saves what the next generation goes on with; asked only of plugins that declare a
    /// `state_version`.
    ///
    /// # Errors
    ///
    /// If there is nothing that could be handed over.
    fn save(&self, ctx: &Context) -> Result<Payload> {
        let _ = ctx;
        Err(Error::new(
            ErrorKind::Unsupported,
            "this plugin saves no state",
        ))
    }

    /// Goes on with what another generation saved, in the version it declared.
    ///
    /// # Errors
    ///
    /// If that version or state is of no use here.
    fn restore(&self, ctx: &Context, version: u32, state: Payload) -> Result<()> {
        let _ = (ctx, state);
        let message = format!("this plugin restores no state, also not of version {version}");
        Err(Error::new(ErrorKind::Unsupported, message))
    }
}
