//! What author's code is given: its own identity and everything it may reach.

use std::{
    future::Future,
    mem::ManuallyDrop,
    ops::Deref,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    call::CallInfo,
    error::{Error, ErrorKind, Result},
    guard::InPoll,
    host::{Ask, HostHandle},
    io::{Input, Output, decode_answer},
    journal::Journal,
    subscription::Subscription,
    values::{State, Storage},
};
use octa_plugin_abi::operation::{self, publish_flag};

/// An instance's identity, shared by all its contexts.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) host: HostHandle,
    pub(crate) name: String,
}

/// Everything a plugin may reach, and the circumstances of the call it handles.
///
/// Works from any thread, also from a runtime of the plugin's own; clone it to keep it.
#[derive(Debug)]
pub struct Context {
    identity: IdentityRef,
    info: CallInfo,
}

/// Counts a reference only in contexts that are kept, so that two threads that handle calls
/// write no shared cache line.
#[derive(Debug)]
enum IdentityRef {
    Borrowed(ManuallyDrop<Arc<Identity>>),
    Owned(Arc<Identity>),
}

impl Deref for IdentityRef {
    type Target = Arc<Identity>;
    fn deref(&self) -> &Arc<Identity> {
        match self {
            Self::Borrowed(identity) => identity,
            Self::Owned(identity) => identity,
        }
    }
}

impl Clone for Context {
    fn clone(&self) -> Self {
        let identity = IdentityRef::Owned(Arc::clone(&self.identity));
        Self {
            identity,
            info: self.info.clone(),
        }
    }
}

impl Context {
    pub(crate) fn owned(identity: Arc<Identity>, info: CallInfo) -> Self {
        Self {
            identity: IdentityRef::Owned(identity),
            info,
        }
    }

    /// A context that does not count its reference.
    ///
    /// # Safety
    ///
    /// `identity` outlives the context.
    pub(crate) unsafe fn borrowed(identity: &Arc<Identity>, info: CallInfo) -> Self {
        // SAFETY: never dropped, and alive for as long as this context, says the caller.
        let copy = unsafe { std::ptr::read(identity) };
        Self {
            identity: IdentityRef::Borrowed(ManuallyDrop::new(copy)),
            info,
        }
    }

    /// This plugin's name.
    pub fn plugin(&self) -> &str {
        &self.identity.name
    }

    /// Who calls, or who published the event: a plugin's name, `octa` for the command line, or
    /// the host's own. Empty in `start`, `stop` and tasks.
    pub fn caller(&self) -> &str {
        self.info.caller()
    }

    /// What ties together everything that one first call or event led to; 0 if nothing did.
    pub fn correlation_id(&self) -> u128 {
        self.info.correlation()
    }

    /// The trace context that the first call brought from outside, a W3C `traceparent`; what is called in turn carries
    /// it on. `None` if it brought none, and while an event is handled.
    pub fn trace_context(&self) -> Option<&str> {
        self.info.trace_context()
    }

    /// The time left to answer; `None` without a deadline.
    pub fn remaining(&self) -> Option<Duration> {
        self.info.remaining()
    }

    /// How often this was tried before.
    pub fn attempt(&self) -> u32 {
        self.info.attempt()
    }

    /// What makes repeated calls one, if the caller gave it.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.info.idempotency_key()
    }

    /// The same context whose calls have at most `limit` to answer.
    #[must_use]
    pub fn with_deadline(&self, limit: Duration) -> Self {
        Self {
            identity: IdentityRef::Owned(Arc::clone(&self.identity)),
            info: self.info.limited(limit),
        }
    }

    /// The same context whose calls carry an idempotency key of 1 to 256 bytes; with another one they are refused.
    #[must_use]
    pub fn with_idempotency_key(&self, key: &str) -> Self {
        let info = self.info.with_idempotency_key(key);
        Self {
            identity: IdentityRef::Owned(Arc::clone(&self.identity)),
            info,
        }
    }

    /// The same context whose calls carry a routing key.
    #[must_use]
    pub fn with_routing_key(&self, key: &str) -> Self {
        let info = self.info.with_routing_key(key);
        Self {
            identity: IdentityRef::Owned(Arc::clone(&self.identity)),
            info,
        }
    }

    /// The same context whose calls are not tried again, also where that is declared: an error is
    /// the end of them.
    #[must_use]
    pub fn without_retries(&self) -> Self {
        Self {
            identity: IdentityRef::Owned(Arc::clone(&self.identity)),
            info: self.info.without_retries(),
        }
    }

    /// Publishes an event; answers how many subscriptions matched.
    ///
    /// Waits only while a subscription that declared back-pressure is full.
    ///
    /// # Errors
    ///
    /// An invalid topic, a missing permission, or data that is not to be written as JSON.
    pub async fn publish<T: Output + ?Sized>(&self, topic: &str, data: &T) -> Result<u64> {
        let payload = data.encode()?;
        let answer = self
            .ask(operation::PUBLISH)
            .target(topic)
            .payload(payload)
            .await;
        answer.result.map(|_| answer.number)
    }

    /// Publishes an event and keeps it as the last of its topic: every subscription to come that
    /// matches is handed it first, until another takes its place or it is
    /// [cleared](Self::clear_retained). Answers how many subscriptions matched.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); and if there is no room, then it was not published either.
    pub async fn publish_retained<T: Output + ?Sized>(&self, topic: &str, data: &T) -> Result<u64> {
        let payload = data.encode()?;
        let answer = self
            .ask(operation::PUBLISH)
            .flags(publish_flag::RETAIN)
            .target(topic)
            .payload(payload)
            .await;
        answer.result.map(|_| answer.number)
    }

    /// Forgets the retained event of a topic; answers whether there was one. Who publishes there
    /// may do it, whoever had it retained.
    ///
    /// # Errors
    ///
    /// An invalid topic or a missing permission.
    pub async fn clear_retained(&self, topic: &str) -> Result<bool> {
        let answer = self
            .ask(operation::PUBLISH)
            .flags(publish_flag::CLEAR)
            .target(topic)
            .await;
        answer.result.map(|_| answer.number > 0)
    }

    /// Calls a capability of whichever plugin offers it.
    ///
    /// # Errors
    ///
    /// The provider's error, or why there is no answer: unknown capability, missing
    /// permission, deadline, provider gone.
    pub async fn call<I, O>(&self, capability: &str, input: &I) -> Result<O>
    where
        I: Output + ?Sized,
        O: Input,
    {
        self.info.check_keys()?;
        let input = input.encode()?;
        let answer = self
            .ask(operation::CALL)
            .flags(self.info.call_flags())
            .target(capability)
            .payload(input)
            .await;
        decode_answer(capability, &answer.result?)
    }

    /// Subscribes while the program runs; for what is known beforehand, use `#[subscribe]`.
    ///
    /// The plugin asks for it with `#[tentacle(subscribes = "door.*.open")]`, or
    /// `subscribes("door.*.open", "window.**")`; what a `#[subscribe]` handler listens to is asked
    /// for already.
    ///
    /// # Errors
    ///
    /// An invalid pattern or a missing permission.
    pub async fn subscribe(&self, pattern: &str) -> Result<Subscription> {
        let answer = self.ask(operation::SUBSCRIBE).target(pattern).await;
        answer.result?;
        Ok(Subscription::new(self.kept(), answer.number))
    }

    /// The plugin's own namespace of the in-memory state, named like the plugin.
    pub fn state(&self) -> State<'_> {
        State::new(self, self.plugin())
    }

    /// Another namespace of the in-memory state.
    pub fn state_in<'a>(&'a self, namespace: &'a str) -> State<'a> {
        State::new(self, namespace)
    }

    /// The plugin's own namespace of the durable storage, named like the plugin.
    pub fn storage(&self) -> Storage<'_> {
        Storage::new(self, self.plugin())
    }

    /// Another namespace of the durable storage.
    pub fn storage_in<'a>(&'a self, namespace: &'a str) -> Storage<'a> {
        Storage::new(self, namespace)
    }

    /// A stream of facts in the plugin's own namespace of the durable storage.
    pub fn journal<'a>(&'a self, stream: &'a str) -> Journal<'a> {
        self.journal_in(self.plugin(), stream)
    }

    /// A stream of facts in another namespace of the durable storage.
    pub fn journal_in<'a>(&'a self, namespace: &'a str, stream: &'a str) -> Journal<'a> {
        Journal::new(self, namespace, stream)
    }

    /// Waits. The kernel's clock may be virtual, in tests.
    pub async fn sleep(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let _ = self.ask(operation::SLEEP).number(nanos).await;
    }

    /// The kernel's wall-clock time.
    pub fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.ask(operation::NOW).now().number)
    }

    /// The kernel's monotonic clock, from an arbitrary moment on: for measuring.
    pub fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.ask(operation::MONOTONIC).now().number)
    }

    /// Runs a task of the plugin on the kernel's threads, until it ends or the plugin stops.
    ///
    /// # Errors
    ///
    /// If the plugin is stopping.
    pub fn spawn<F, Fut>(&self, task: F) -> Result<Task>
    where
        F: FnOnce(Context) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let context = self.kept();
        let future = task(context.clone());
        let id = context.identity.host.spawn(future)?;
        Ok(Task { context, id })
    }

    /// Waits for a future on a plain thread, such as one of the plugin's own or that of a
    /// handler marked `blocking`.
    ///
    /// # Errors
    ///
    /// Inside a handler that the kernel polls, where it would block others: await instead.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output> {
        if InPoll::now() {
            let error = Error::new(
                ErrorKind::Unsupported,
                "`block_on` inside a handler that is polled",
            );
            return Err(error.with_hint("await the future, or mark the handler `blocking`"));
        }
        Ok(crate::block_on::block_on(future))
    }

    /// A context to keep, with the circumstances of no call.
    pub(crate) fn kept(&self) -> Self {
        Self::owned(Arc::clone(&self.identity), CallInfo::none())
    }

    pub(crate) fn ask(&self, operation: u32) -> Ask<'_> {
        Ask::new(&self.identity.host, &self.info, operation)
    }
}

/// A task that was spawned. Dropping this leaves it running.
#[derive(Debug)]
pub struct Task {
    context: Context,
    id: u64,
}

impl Task {
    /// Ends the task at its next await, if it still runs.
    pub fn abort(self) {
        let _ = self
            .context
            .ask(operation::ABORT_TASK)
            .number(self.id)
            .now();
    }
}
