//! What a plugin reaches: the host's functions of the ABI, over the safe trait [`Host`].

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use octa_plugin_abi::{
    self as abi, HostFunctions, HostFunctions_Ref,
    abi_stable::{prefix_type::WithMetadata, sabi_types::StaticRef},
    code, operation, status,
};
use octa_plugin_api::{Error, ErrorKind, Payload, host_buffer};

use crate::{
    envelope::Envelope,
    generation::Generation,
    inside,
    instance::{Entered, Shared},
    operations::{Operations, elsewhere},
    outcome::{Outcome, write_reply},
    owned,
    presence::{Errand, Part},
    wakers,
    work::{Work, interrupted},
};

/// A future of the host.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a plugin instance can ask of whoever hosts it.
pub trait Host: Send + Sync + 'static {
    /// Starts an operation; see the operations of the ABI for what the fields mean.
    fn submit(&self, request: &Request<'_>, cx: &mut Context<'_>) -> Submitted;

    /// Runs a future of the host itself, on a thread of the host.
    fn drive(&self, future: BoxFuture<()>);

    /// Runs a task of the plugin, on a thread that the plugin may block.
    fn run_task(&self, task: BoxFuture<()>);

    /// Takes over a task of this plugin. It is [run](Self::run_task), and what is wrong with it is
    /// told, unless somebody else is to know how it ended.
    fn take_task(&self, plugin: &Arc<str>, task: Work) {
        let name = plugin.clone();
        self.run_task(Box::pin(async move {
            let outcome = task.await;
            if let Err(error) = outcome.result
                && error.kind() != ErrorKind::Interrupted
            {
                log::error!("a task of plugin `{name}` {error:?}");
            }
        }));
    }

    /// Takes a line for the log.
    fn log(&self, line: &LogLine<'_>);
}

/// An operation that a plugin asks for.
#[derive(Debug)]
pub struct Request<'a> {
    /// Which one.
    pub operation: u32,
    /// As the operation says.
    pub flags: u32,
    /// As the operation says.
    pub number: u64,
    /// A topic, pattern, capability or namespace.
    pub target: &'a str,
    /// A key.
    pub key: &'a str,
    /// The operation's payload.
    pub payload: Payload,
    /// The circumstances.
    pub envelope: Envelope<'a>,
}

/// How far an operation has come.
pub enum Submitted {
    /// It is finished.
    Ready(Outcome),
    /// It waits for something, and was not polled yet.
    New(BoxFuture<Outcome>),
    /// It waits for something, and will wake who submitted it.
    Waiting(BoxFuture<Outcome>),
}

impl std::fmt::Debug for Submitted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ready(_) => "Submitted::Ready",
            Self::New(_) => "Submitted::New",
            Self::Waiting(_) => "Submitted::Waiting",
        })
    }
}

/// A line for the log.
#[derive(Debug)]
pub struct LogLine<'a> {
    /// How grave it is.
    pub level: log::Level,
    /// The module that logs.
    pub target: &'a str,
    /// The text.
    pub message: &'a str,
    /// The file of the source, or empty.
    pub file: &'a str,
    /// The line of the source, or 0.
    pub line: u32,
}

/// The host as one instance sees it.
pub(crate) struct Bridge {
    name: Arc<str>,
    generation: Arc<Generation>,
    host: Arc<dyn Host>,
    gone: AtomicBool,
    operations: Operations,
    instance: OnceLock<Weak<Shared>>,
}

impl Bridge {
    pub(crate) fn new(
        name: Arc<str>,
        generation: Arc<Generation>,
        host: Arc<dyn Host>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            generation,
            host,
            gone: AtomicBool::new(false),
            operations: Operations::default(),
            instance: OnceLock::new(),
        })
    }

    /// A counted reference for the plugin.
    pub(crate) fn lend(this: &Arc<Self>) -> abi::Host {
        abi::Host {
            data: Arc::into_raw(this.clone()).cast(),
            functions: FUNCTIONS,
        }
    }

    /// The plugin's name.
    #[cfg(target_os = "linux")]
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The code of the instance.
    #[cfg(target_os = "linux")]
    pub(crate) fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// Who hosts the instance.
    #[cfg(target_os = "linux")]
    pub(crate) fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }

    /// Says whose tasks are spawned.
    pub(crate) fn attach(&self, instance: &Arc<Shared>) {
        // Set once: a bridge is made for one instance.
        let _ = self.instance.set(Arc::downgrade(instance));
    }

    /// Answers from now on that the plugin is gone, and ends its operations.
    pub(crate) fn close(&self) {
        self.gone.store(true, Ordering::SeqCst);
        self.operations.clear();
    }

    pub(crate) fn gone(&self) -> Result<(), Error> {
        if !self.gone.load(Ordering::SeqCst) {
            return Ok(());
        }
        let message = format!("plugin `{}` is gone", self.name);
        Err(Error::new(ErrorKind::PluginGone, message))
    }

    fn submit(&self, request: &abi::Request<'_>, waker: &Waker) -> Result<Poll<Outcome>, u64> {
        if let Err(error) = self.gone() {
            return Ok(Poll::Ready(error.into()));
        }
        if request.operation == operation::ABORT_TASK {
            return Ok(Poll::Ready(self.abort(request.number)));
        }
        let mut cx = Context::from_waker(waker);
        if request.operation == operation::CALL && !inside::called_by_host() {
            // A thread of the plugin's own: other plugins' code does not run there.
            let future = elsewhere(
                &*self.host,
                owned::submit(self.host.clone(), &safe(request)),
            );
            return self.or_gone(self.operations.begin(future, &mut cx));
        }
        match self.host.submit(&safe(request), &mut cx) {
            Submitted::Ready(outcome) => Ok(Poll::Ready(outcome)),
            Submitted::New(future) => self.or_gone(self.operations.begin(future, &mut cx)),
            Submitted::Waiting(future) => self.or_gone(self.operations.keep(future, &cx).map(Err)),
        }
    }

    /// What became of an operation that was begun while the instance ended, perhaps.
    fn or_gone(&self, begun: Option<Result<Poll<Outcome>, u64>>) -> Result<Poll<Outcome>, u64> {
        begun.unwrap_or_else(|| {
            let error = self.gone().err().unwrap_or_else(|| interrupted(&self.name));
            Ok(Poll::Ready(error.into()))
        })
    }

    fn abort(&self, task: u64) -> Outcome {
        let instance = self.instance.get().and_then(Weak::upgrade);
        let cell = usize::try_from(task)
            .ok()
            .and_then(|key| instance?.ledger.get(key));
        let aborted = cell.is_some_and(|cell| cell.interrupt(std::time::Duration::ZERO));
        Outcome::ok(u64::from(aborted), Payload::empty())
    }

    pub(crate) fn spawn(&self, future: abi::Future) -> Result<u64, u32> {
        let instance = self.instance.get().and_then(Weak::upgrade);
        // Counted before it is looked whether the instance is gone: `destroy` closes first.
        let entered = instance.as_deref().map(Entered::new);
        let Some(instance) = instance.as_ref().filter(|_| self.gone().is_ok()) else {
            let errand = Errand::task(0).part(Part::Drop);
            self.generation.run(errand, || (future.drop)(future.data));
            return Err(code::PLUGIN_GONE);
        };
        let work = instance.adopt(future);
        drop(entered);
        let key = work.serial() as u64;
        self.host.take_task(&self.name, work);
        Ok(key)
    }
}

fn safe<'a>(request: &'a abi::Request<'a>) -> Request<'a> {
    Request {
        operation: request.operation,
        flags: request.flags,
        number: request.number,
        target: request.target.as_str(),
        key: request.key.as_str(),
        // SAFETY: the payload of a request is as `abi::Bytes` describes it.
        payload: unsafe { Payload::keep(&request.payload) },
        envelope: Envelope::from_abi(&request.envelope),
    }
}

const FUNCTIONS: HostFunctions_Ref = {
    const TABLE: &WithMetadata<HostFunctions> = &WithMetadata::new(HostFunctions {
        retain,
        release,
        buffer: host_buffer,
        submit,
        poll,
        cancel,
        spawn,
        log,
    });
    HostFunctions_Ref(
        // SAFETY: a constant, so it lives for ever.
        unsafe { StaticRef::from_raw(TABLE) }.as_prefix(),
    )
};

/// The bridge behind a plugin's pointer.
///
/// # Safety
///
/// `host` came from [`Bridge::lend`] and the plugin holds its reference during `'a`.
unsafe fn bridge<'a>(host: *const ()) -> &'a Bridge {
    // SAFETY: the caller's promise.
    unsafe { &*host.cast::<Bridge>() }
}

extern "C" fn retain(host: *const ()) {
    // SAFETY: the plugin holds a reference.
    unsafe { Arc::increment_strong_count(host.cast::<Bridge>()) };
}

extern "C" fn release(host: *const ()) {
    // SAFETY: the plugin gives its reference back.
    drop(unsafe { Arc::from_raw(host.cast::<Bridge>()) });
}

extern "C" fn submit(
    host: *const (),
    request: &abi::Request<'_>,
    waker: &abi::Waker,
    reply: &mut abi::Reply,
    operation: &mut u64,
) -> u32 {
    // SAFETY: the plugin holds a reference while it calls.
    let bridge = unsafe { bridge(host) };
    let submitted = contained(|| {
        // SAFETY: a waker that the plugin lends for this call.
        unsafe {
            wakers::borrow(waker, &bridge.generation, |waker| {
                bridge.submit(request, waker)
            })
        }
    });
    match submitted {
        Ok(Ok(polled)) => answer(polled, reply),
        Ok(Err(id)) => {
            *operation = id;
            status::PENDING
        }
        Err(error) => answer(Poll::Ready(error.into()), reply),
    }
}

extern "C" fn poll(
    host: *const (),
    operation: u64,
    waker: &abi::Waker,
    reply: &mut abi::Reply,
) -> u32 {
    // SAFETY: the plugin holds a reference while it calls.
    let bridge = unsafe { bridge(host) };
    let polled = contained(|| {
        // SAFETY: a waker that the plugin lends for this call.
        unsafe {
            wakers::borrow(waker, &bridge.generation, |waker| {
                bridge
                    .operations
                    .poll(operation, &mut Context::from_waker(waker))
            })
        }
    });
    let polled = polled.unwrap_or_else(|error| Some(Poll::Ready(error.into())));
    let polled = polled.unwrap_or_else(|| {
        let error = bridge.gone().err().unwrap_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("no operation {operation} is under way"),
            )
        });
        Poll::Ready(error.into())
    });
    answer(polled, reply)
}

/// Runs code of the host for a plugin: a panic in it is the host's fault, and must not unwind
/// into the plugin.
fn contained<R>(work: impl FnOnce() -> R) -> Result<R, Error> {
    inside::host(|| catch_unwind(AssertUnwindSafe(work)))
        .map_err(|_| Error::new(ErrorKind::Internal, "the host panicked; its log says where"))
}

fn answer(polled: Poll<Outcome>, reply: &mut abi::Reply) -> u32 {
    match polled {
        Poll::Ready(outcome) => {
            write_reply(reply, outcome);
            status::READY
        }
        Poll::Pending => status::PENDING,
    }
}

extern "C" fn cancel(host: *const (), operation: u64) {
    // SAFETY: the plugin holds a reference while it calls.
    let bridge = unsafe { bridge(host) };
    drop(contained(|| bridge.operations.cancel(operation)));
}

extern "C" fn spawn(host: *const (), future: abi::Future, task: &mut u64) -> u32 {
    // SAFETY: the plugin holds a reference while it calls.
    let bridge = unsafe { bridge(host) };
    match contained(|| bridge.spawn(future)) {
        Ok(Ok(key)) => {
            *task = key;
            code::OK
        }
        Ok(Err(code)) => code,
        Err(_) => code::INTERNAL,
    }
}

extern "C" fn log(host: *const (), record: &abi::LogRecord<'_>) {
    // SAFETY: the plugin holds a reference while it calls.
    let bridge = unsafe { bridge(host) };
    let level = log::Level::iter().nth(record.level.saturating_sub(1) as usize);
    let line = LogLine {
        level: level.unwrap_or(log::Level::Trace),
        target: record.target.as_str(),
        message: record.message.as_str(),
        file: record.file.as_str(),
        line: record.line,
    };
    drop(contained(|| bridge.host.log(&line)));
}
