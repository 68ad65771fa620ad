//! A running kernel in a test: calls, events, values and time, without a runtime.

use std::{
    thread,
    time::{Duration, Instant},
};

use octa_kernel::{Kernel, bus::Subscription};
use octa_plugin_api::{Input, Output, Payload, Result, decode, export::Exported};

use crate::{
    builder::{Builder, problem},
    clock::TestClock,
    wait::{PATIENCE, late, wait},
};

/// A kernel in memory with plugins that run.
#[derive(Debug)]
pub struct TestKernel {
    kernel: Kernel,
    clock: TestClock,
}

impl TestKernel {
    /// Begins a kernel with this plugin.
    pub fn plugin<T: Exported>() -> Builder {
        Builder::new::<T>()
    }

    pub(crate) fn new(kernel: Kernel, clock: TestClock) -> Self {
        Self { kernel, clock }
    }

    /// Calls a capability and waits for the answer.
    ///
    /// # Errors
    ///
    /// The provider's error, or why there is no answer.
    pub fn call<O: Input>(&self, capability: &str, input: &(impl Output + ?Sized)) -> Result<O> {
        let what = format!("the answer of `{capability}`");
        wait(&what, self.kernel.call(capability, input))?.map_err(|e| e.0)
    }

    /// Publishes an event; answers how many subscriptions matched.
    ///
    /// # Errors
    ///
    /// An invalid topic, or data that refuses to be serialised.
    pub fn publish(&self, topic: &str, data: &(impl Output + ?Sized)) -> Result<usize> {
        let what = format!("room for an event on `{topic}`");
        wait(&what, self.kernel.publish(topic, data))?.map_err(|e| e.0)
    }

    /// Receives the events of a pattern from now on.
    ///
    /// # Errors
    ///
    /// An invalid pattern.
    pub fn subscribe(&self, pattern: &str) -> Result<Events> {
        let subscription = wait("the subscription", self.kernel.subscribe(pattern))?;
        Ok(Events {
            pattern: pattern.to_owned(),
            subscription: subscription.map_err(|e| e.0)?,
        })
    }

    /// Reads a value of the in-memory state.
    ///
    /// # Errors
    ///
    /// An invalid name, or a value that is not the JSON of a `T`.
    pub fn state<T: Input>(&self, namespace: &str, key: &str) -> Result<Option<T>> {
        let record = self.kernel.state().get(namespace, key)?;
        record.map(|record| decode(&record.value)).transpose()
    }

    /// Reads a value of the durable storage.
    ///
    /// # Errors
    ///
    /// An invalid name, or a value that is not the JSON of a `T`.
    pub fn storage<T: Input>(&self, namespace: &str, key: &str) -> Result<Option<T>> {
        let record = wait("the storage", self.kernel.storage().get(namespace, key))??;
        record.map(|record| decode(&record.value)).transpose()
    }

    /// Goes on by `time`, waking what sleeps until then.
    pub fn advance(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Waits until something sleeps for `time`, and goes on to when it wakes: the next round of a
    /// task that does something at intervals.
    ///
    /// # Errors
    ///
    /// If nothing does.
    pub fn tick(&self, time: Duration) -> Result<()> {
        self.clock.tick(time)
    }

    /// Waits until `reached` says true: for what leaves no event behind.
    ///
    /// # Errors
    ///
    /// The first error of `reached`, or if it never says true.
    pub fn until(&self, what: &str, mut reached: impl FnMut() -> Result<bool>) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !reached()? {
            if Instant::now() > end {
                return Err(late(what));
            }
            thread::yield_now();
        }
        Ok(())
    }

    /// Stops a plugin and starts it again, as a fresh object.
    ///
    /// # Errors
    ///
    /// Why it did not start again.
    pub fn restart(&self, plugin: &str) -> Result<()> {
        let again = async {
            self.kernel.unload_plugin(plugin).await?;
            self.kernel.start_plugin(plugin).await
        };
        wait("the restart", again)?.map_err(|e| problem(&e.0))
    }

    /// The kernel itself.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Stops all plugins.
    pub fn stop(self) {
        octa_plugin_api::block_on(self.kernel.stop());
    }
}

/// The events of a pattern, in order.
#[derive(Debug)]
pub struct Events {
    pattern: String,
    subscription: Subscription,
}

/// An event that was received.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Event<T = Payload> {
    /// What it is about.
    pub topic: String,
    /// Who published it.
    pub source: String,
    /// What it says.
    pub data: T,
}

impl Events {
    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// If none comes, or it is not the JSON of a `T`.
    pub fn recv<T: Input>(&mut self) -> Result<Event<T>> {
        let what = format!("an event on `{}`", self.pattern);
        let event = wait(&what, self.subscription.recv())?.ok_or_else(|| late(&what))?;
        Ok(Event {
            topic: event.topic.to_string(),
            source: event.source.to_string(),
            data: decode(&event.payload)?,
        })
    }

    /// Whether an event has come that was not taken yet.
    pub fn has_more(&self) -> bool {
        self.subscription.counters().queued > 0
    }
}
