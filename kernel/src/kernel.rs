//! The kernel as its embedder holds it.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use arc_swap::ArcSwap;
use octa_loader::{Capability as Declared, Envelope, Outcome};
use octa_plugin_api::{Error, ErrorKind, Input, Output, Payload};
use thiserror::Error;
use tokio::{runtime::Runtime, sync::mpsc};

use crate::{
    builder::Builder,
    bus::Publisher,
    facilities::Commons,
    ids::Ids,
    journal::{Journal, JournalError},
    manager::{Event, Seen, View},
    reload::nanos,
    services::{Begun, Looking, PendingCall, Route, ServiceStatus},
    spare::Spare,
    state::State,
    status::{PluginStatus, Problem, RejectedFile},
    storage::{
        Storage,
        standby::{Follower, StandbyStatus},
    },
    watchdog::Watchdog,
    why::{Scene, Why, explain},
};

mod commands;
mod events;

pub use events::PublishOptions;
pub(crate) use events::not_retained;

/// A plugin kernel. Clones are the same kernel; it ends with [`stop`](Self::stop), or hard when
/// the last clone is dropped.
///
/// Works from any async runtime, or from none.
#[derive(Clone)]
pub struct Kernel(Arc<Inner>);

struct Inner {
    running: Running,
    publisher: Publisher,
    ids: Ids,
}

/// What a kernel is made of while it runs.
pub(crate) struct Running {
    pub(crate) commons: Commons,
    pub(crate) events: mpsc::UnboundedSender<Event>,
    pub(crate) view: Arc<ArcSwap<View>>,
    pub(crate) spare: Spare,
    pub(crate) watchdog: Watchdog,
    /// What keeps the standby of the storage up with it, if there is one.
    pub(crate) standby: Option<Follower>,
    /// Ends when nothing that may use its timers runs any more.
    pub(crate) _runtime: Arc<RuntimeOwner>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.commons.pool.end();
        self.spare.end();
        self.watchdog.end();
    }
}

/// The runtime of the kernel's own timers and tasks.
pub(crate) struct RuntimeOwner(pub(crate) Option<Runtime>);

impl Drop for RuntimeOwner {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Not by dropping it: that waits for threads, which is an error inside a runtime.
            runtime.shutdown_background();
        }
    }
}

/// A call or a publish that failed: an error of the kernel, or of the plugin that answered.
#[derive(Debug, Clone, Error)]
#[error("{0}")]
pub struct CallError(pub Error);

impl CallError {
    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind()
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// A plugin that is not where it was to be brought.
#[derive(Debug, Clone, Error)]
#[error("{}", .0.message)]
pub struct PluginError(pub Problem);

/// The circumstances of a call, where the defaults will not do.
#[derive(Debug, Clone, Default)]
pub struct CallOptions {
    /// The time to answer; the configured one by default.
    pub deadline: Option<Duration>,
    /// What makes repeated calls one: up to 256 bytes; with none, each is done.
    pub idempotency_key: String,
    /// What a provider is chosen by.
    pub routing_key: String,
    /// What ties together everything that this call leads to; 0 for a new one.
    pub correlation_id: u128,
    /// The trace that this call is a part of, a W3C `traceparent`; handed on as it is.
    pub trace_context: String,
    /// Whether an error is the end, also where the capability is declared to be tried again.
    pub no_retries: bool,
}

impl Kernel {
    /// Starts to put a kernel together.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn new(running: Running) -> Self {
        let publisher = running.commons.bus.publisher(HOST);
        running.commons.journals.speak_through(&publisher);
        Self(Arc::new(Inner {
            running,
            publisher,
            ids: Ids::new(),
        }))
    }

    /// Tells the manager what those tell it who watch over plugins.
    #[cfg(test)]
    pub(crate) fn tell(&self, event: Event) {
        drop(self.0.running.events.send(event));
    }

    fn commons(&self) -> &Commons {
        &self.0.running.commons
    }

    /// The id asked for, or a new one.
    fn correlation(&self, wanted: u128) -> u128 {
        if wanted == 0 {
            self.0.ids.next()
        } else {
            wanted
        }
    }

    /// The plugins there are, by name.
    pub fn plugins(&self) -> Vec<PluginStatus> {
        let view = self.0.running.view.load();
        view.plugins.iter().map(Seen::status).collect()
    }

    /// Explains why a plugin is where it is, as a tree of causes. Also explained are a rejected
    /// file, by its path, its name or the name of the plugin that it would have been, and a
    /// capability: whom its calls go to and how they are treated.
    ///
    /// # Errors
    ///
    /// If nothing is called so; names the nearest known.
    pub fn why(&self, plugin: &str) -> Result<Why, Problem> {
        let view = self.0.running.view.load();
        let commons = self.commons();
        let (services, now) = (commons.services.known(), nanos(commons.clock.wall()));
        let scene = Scene::new(view.plugins.iter().map(Seen::facts), view.rejected.clone());
        let scene = scene.serving(services, now);
        explain(&scene, plugin)
    }

    /// The files of the plugin directory that are no plugins, or none that can run here.
    pub fn rejected(&self) -> Vec<RejectedFile> {
        self.0.running.view.load().rejected.clone()
    }

    /// What is offered now: each capability as its first provider describes it, and the names
    /// of all its providers.
    pub fn capabilities(&self) -> Vec<(Declared, Vec<String>)> {
        let describe = |route: Arc<Route>| {
            let providers = route.providers();
            let declared = route.describe()?;
            let names = providers
                .iter()
                .map(|p| p.instance.name().to_string())
                .collect();
            Some((declared, names))
        };
        self.commons()
            .services
            .offered()
            .into_iter()
            .filter_map(describe)
            .collect()
    }

    /// How capabilities do: who offers each, how its calls are treated, and what became of them.
    pub fn services(&self) -> Vec<ServiceStatus> {
        self.commons().services.status()
    }

    /// How one capability does, also one that nobody offers now.
    ///
    /// # Errors
    ///
    /// If it was never offered; names the nearest known.
    pub fn service(&self, capability: &str) -> Result<ServiceStatus, CallError> {
        let services = &self.commons().services;
        services.find(capability)?;
        let status = services.status_of(capability);
        status.ok_or_else(|| Error::new(ErrorKind::UnknownCapability, "it is gone").into())
    }

    /// Measures rates and latencies of all capabilities until what is returned is dropped; those
    /// that are called in a special way may be measured all the time by `[kernel] measure`.
    ///
    /// A plain call is not measured otherwise, and pays nothing for it.
    pub fn measure(&self) -> Measuring {
        Measuring(self.commons().services.look())
    }

    /// How the standby of the storage is, if the configuration names one.
    pub async fn standby(&self) -> Option<StandbyStatus> {
        match &self.0.running.standby {
            Some(standby) => Some(standby.status().await),
            None => None,
        }
    }

    /// A handle on a capability, for calling it often.
    ///
    /// # Errors
    ///
    /// If no plugin ever offered it; names the nearest known.
    pub fn capability(&self, name: &str) -> Result<Capability, CallError> {
        let route = self.commons().services.find(name)?;
        Ok(Capability {
            kernel: self.clone(),
            route,
        })
    }

    /// Calls a capability, with JSON on both ways.
    ///
    /// # Errors
    ///
    /// The provider's error, or why there is no answer.
    pub async fn call<O: Input>(
        &self,
        capability: &str,
        input: &(impl Output + ?Sized),
    ) -> Result<O, CallError> {
        let output = self.capability(capability)?.call(&input.encode()?).await?;
        Ok(octa_plugin_api::decode_answer(capability, &output)?)
    }

    /// Calls a capability with bytes and circumstances of one's own.
    ///
    /// # Errors
    ///
    /// The provider's error, or why there is no answer.
    pub async fn call_with(
        &self,
        capability: &str,
        input: &Payload,
        options: &CallOptions,
    ) -> Result<Payload, CallError> {
        let capability = self.capability(capability)?;
        let envelope = Envelope {
            remaining: options.deadline,
            routing_key: &options.routing_key,
            idempotency_key: &options.idempotency_key,
            trace: &options.trace_context,
            ..Envelope::of(HOST)
        };
        let correlation = self.correlation(options.correlation_id);
        let (mut pending, may_retry) = (None, !options.no_retries);
        let outcome = poll_fn(|cx| {
            capability.poll(&mut pending, &envelope, correlation, input, may_retry, cx)
        });
        let outcome = outcome.await;
        Ok(outcome.result?)
    }

    /// The in-memory state.
    pub fn state(&self) -> &State {
        &self.commons().state
    }

    /// The durable storage.
    pub fn storage(&self) -> &Storage {
        &self.commons().storage
    }

    /// A stream of the journal, in a namespace of the storage. Events that are recorded with
    /// facts are told once plugins have been [started](Self::start), so that none misses them.
    ///
    /// # Errors
    ///
    /// If the namespace or the stream cannot be called so.
    pub fn journal(&self, namespace: &str, stream: &str) -> Result<Journal, JournalError> {
        self.commons().journals.journal(namespace, stream, HOST)
    }
}

/// What the host's own calls and subscriptions are known as.
pub(crate) const HOST: &str = "host";

/// As long as it is there, rates and latencies of all capabilities are measured.
#[derive(Debug)]
#[must_use = "nothing is measured any more once it is dropped"]
pub struct Measuring(#[expect(dead_code, reason = "its drop is what counts")] Looking);

/// A handle on a capability: stays good while its providers come and go.
#[derive(Debug, Clone)]
pub struct Capability {
    kernel: Kernel,
    route: Arc<Route>,
}

impl Capability {
    /// Its name.
    pub fn name(&self) -> &str {
        self.route.name()
    }

    /// Calls it with bytes. Allocates nothing of its own when the answer is ready at once.
    pub fn call<'a>(&'a self, input: &'a Payload) -> Call<'a> {
        Call {
            capability: self,
            input,
            pending: None,
        }
    }

    #[inline(always)]
    fn poll(
        &self,
        pending: &mut Option<PendingCall>,
        envelope: &Envelope<'_>,
        correlation: u128,
        input: &Payload,
        may_retry: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Outcome> {
        if let Some(pending) = pending {
            return Pin::new(pending).poll(cx);
        }
        match self.kernel.commons().services.begin(
            &self.route,
            envelope,
            correlation,
            input,
            may_retry,
            cx,
        ) {
            Begun::Ready(outcome) => Poll::Ready(outcome),
            Begun::Pending(call) => {
                *pending = Some(call);
                Poll::Pending
            }
        }
    }
}

/// A call under way; dropping it cancels it.
#[derive(Debug)]
#[must_use = "a call begins when it is first polled"]
pub struct Call<'a> {
    capability: &'a Capability,
    input: &'a Payload,
    pending: Option<PendingCall>,
}

impl Future for Call<'_> {
    type Output = Result<Payload, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        const ENVELOPE: &Envelope<'_> = &Envelope::of(HOST);
        let this = self.get_mut();
        let correlation = match this.pending {
            None => this.capability.kernel.correlation(0),
            Some(_) => 0,
        };
        let polled = this.capability.poll(
            &mut this.pending,
            ENVELOPE,
            correlation,
            this.input,
            true,
            cx,
        );
        polled.map(|outcome| outcome.result.map_err(CallError))
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel")
            .field("plugins", &self.plugins().len())
            .finish_non_exhaustive()
    }
}
