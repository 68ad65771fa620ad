//! A live object made by a plugin: calls, deliveries and control, each under the gate that a
//! stop closes.

use std::{
    any::Any,
    fmt,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use octa_plugin_abi::{self as abi, control, create_flag, status};
use octa_plugin_api::{Error, ErrorKind, Payload};

use crate::{
    bridge::{Bridge, Host},
    envelope::{Envelope, Terms},
    event::{Batch, EventView},
    gate::{Gate, Inside},
    generation::Generation,
    ledger::Ledger,
    outcome::{Outcome, empty_reply, read_reply},
    presence::{Errand, Part, Step},
    slot::Slot,
    wakers::lend,
    work::{Work, unknown_status},
};

/// A live object of a plugin. Dropping the last handle leaves it as it is: who stops it ends it
/// by [`destroy`](Self::destroy).
#[derive(Clone)]
pub struct Instance(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) name: Arc<str>,
    pub(crate) gate: Gate,
    pub(crate) ledger: Ledger,
    pub(crate) generation: Arc<Generation>,
    pub(crate) bridge: Arc<Bridge>,
    functions: abi::PluginFunctions_Ref,
    instance: Pointer,
    /// How often its code is entered otherwise than through the gate: to answer a question of
    /// [`Instance::control`], or to drop what it left unfinished.
    entered: AtomicUsize,
    /// Somebody destroys it, or has.
    destroyed: AtomicBool,
    /// That has ended.
    is_gone: AtomicBool,
}

/// The plugin's own pointer.
#[derive(Clone, Copy)]
struct Pointer(*const ());

// SAFETY: an instance may be called on any thread (`abi::PluginFunctions`).
unsafe impl Send for Pointer {}
// SAFETY: as for `Send`, also several at once.
unsafe impl Sync for Pointer {}

/// How far a call has come.
#[derive(Debug)]
pub enum Started {
    /// It is finished.
    Ready(Outcome),
    /// It waits for something.
    Pending(Work),
    /// The instance lets nothing in: none of its code ran.
    TurnedAway(Error),
}

/// What an instance is made from.
#[derive(Debug)]
pub struct CreateOptions {
    /// The plugin's section of the configuration, as JSON.
    pub config: Payload,
    /// The most verbose level that is wanted in the log.
    pub log_level: log::LevelFilter,
}

/// What a generation leaves for the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The version of the state, as the plugin that saved it declares it.
    pub version: u32,
    /// The state, in the author's own form.
    pub bytes: Payload,
}

impl Instance {
    /// Makes an instance. Runs author's code that may block: call it on a thread to spare.
    ///
    /// # Errors
    ///
    /// The author's error or panic, or a configuration that it does not take.
    pub fn create(
        generation: &Arc<Generation>,
        host: Arc<dyn Host>,
        options: &CreateOptions,
    ) -> Result<Self, Error> {
        let name: Arc<str> = generation.manifest().name.as_str().into();
        if !generation.admit() {
            let message = format!("plugin `{name}` is gone");
            return Err(Error::new(ErrorKind::PluginGone, message));
        }
        let bridge = Bridge::new(name.clone(), generation.clone(), host);
        let made = generation.make(&bridge, options, |functions| {
            create_here(generation, functions, &bridge, options)
        });
        let (functions, instance) = made.inspect_err(|_| {
            bridge.close();
            generation.dismiss();
        })?;
        let shared = Shared {
            name,
            gate: Gate::default(),
            ledger: Ledger::default(),
            generation: generation.clone(),
            bridge,
            functions,
            instance: Pointer(instance),
            entered: AtomicUsize::new(0),
            destroyed: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
        };
        let this = Self(Arc::new(shared));
        this.0.bridge.attach(&this.0);
        Ok(this)
    }

    /// The plugin's name.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// The code it runs.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.0.generation
    }

    /// Lets calls and events in.
    pub fn open(&self) {
        self.0.gate.open();
    }

    /// Whether calls and events are let in.
    pub fn is_open(&self) -> bool {
        self.0.gate.is_open()
    }

    /// Lets no further call or event in.
    pub fn close(&self) {
        self.0.gate.close();
    }

    /// Waits until no call and no event is being handled; after [`close`](Self::close).
    pub async fn drained(&self) {
        poll_fn(|cx| self.0.gate.poll_empty(cx.waker())).await;
    }

    /// How many calls and deliveries are being handled.
    pub fn in_flight(&self) -> usize {
        self.0.gate.count()
    }

    /// How much unfinished work there is: calls and deliveries that wait, and tasks.
    pub fn unfinished(&self) -> usize {
        self.0.ledger.unfinished()
    }

    /// Ends all unfinished work; who waits for it is answered [`ErrorKind::Interrupted`].
    /// Answers how much could not be ended within `patience` each, because its code blocks.
    pub fn interrupt(&self, patience: Duration) -> usize {
        self.0.ledger.interrupt_all(patience)
    }

    /// Starts a call of the capability with this number in the manifest.
    #[inline(always)]
    pub fn call(
        &self,
        handler: u32,
        envelope: &Envelope<'_>,
        terms: &Terms<'_>,
        payload: &Payload,
        cx: &mut Context<'_>,
    ) -> Started {
        match self.0.gate.enter() {
            Some(inside) => self.call_inside(inside, handler, envelope, terms, payload, cx),
            None => self.not_open(),
        }
    }

    /// The same for a call that a call or a delivery inside waits for: it is let in until
    /// [`drained`](Self::drained) has seen nobody inside.
    pub fn call_from_inside(
        &self,
        handler: u32,
        envelope: &Envelope<'_>,
        terms: &Terms<'_>,
        payload: &Payload,
        cx: &mut Context<'_>,
    ) -> Started {
        match self.0.gate.follow() {
            Some(inside) => self.call_inside(inside, handler, envelope, terms, payload, cx),
            None => self.not_open(),
        }
    }

    #[inline(always)]
    fn call_inside(
        &self,
        inside: Inside,
        handler: u32,
        envelope: &Envelope<'_>,
        terms: &Terms<'_>,
        payload: &Payload,
        cx: &mut Context<'_>,
    ) -> Started {
        let shared = &self.0;
        let payload = payload.as_abi();
        let enter = shared.functions.call();
        let mut slot = Slot::take();
        // SAFETY: written just now, and the slot stays until the work is finished.
        let envelope = unsafe { &*slot.write_envelope(envelope, terms) };
        shared.begin(
            cx.waker(),
            slot,
            Some(inside),
            None,
            Errand::call(handler),
            |waker, slot, future, reply| {
                enter(
                    shared.instance.0,
                    handler,
                    envelope,
                    &payload,
                    waker,
                    slot,
                    future,
                    reply,
                )
            },
        )
    }

    /// Starts the delivery of events to the subscription with this number in the manifest.
    /// `handled` counts those that were handled well, from the first on, also if the delivery is
    /// ended before it is done.
    pub fn deliver<E: EventView>(
        &self,
        handler: u32,
        events: Vec<E>,
        handled: &Arc<AtomicUsize>,
        cx: &mut Context<'_>,
    ) -> Started {
        let shared = &self.0;
        let Some(inside) = shared.gate.enter() else {
            return self.not_open();
        };
        let batch = Batch::new(events, handled.clone());
        let events = batch.as_abi();
        let enter = shared.functions.deliver();
        let (waker, slot, batch) = (cx.waker(), Slot::take(), Some(Box::new(batch) as Box<_>));
        shared.begin(
            waker,
            slot,
            Some(inside),
            batch,
            Errand::event(handler),
            |waker, slot, future, reply| {
                let instance = shared.instance.0;
                enter(
                    instance, handler, events, handled, waker, slot, future, reply,
                )
            },
        )
    }

    /// Runs the author's `start`, which may block: await it on a thread to spare.
    ///
    /// # Errors
    ///
    /// The author's error or panic.
    pub async fn start(&self) -> Result<(), Error> {
        self.control(control::START, 0, Payload::empty())
            .await
            .result
            .map(drop)
    }

    /// Runs the author's `stop`, which may block: await it on a thread to spare.
    ///
    /// # Errors
    ///
    /// The author's error or panic.
    pub async fn stop(&self) -> Result<(), Error> {
        self.control(control::STOP, 0, Payload::empty())
            .await
            .result
            .map(drop)
    }

    /// The plugin's own opinion of its health, from 0.0 to 1.0; 0.0 if it is no number.
    ///
    /// # Errors
    ///
    /// Its panic at the question.
    pub async fn health(&self) -> Result<f64, Error> {
        let outcome = self.control(control::HEALTH, 0, Payload::empty()).await;
        outcome.result?;
        let health = f64::from_bits(outcome.number);
        Ok(if health.is_finite() {
            health.clamp(0.0, 1.0)
        } else {
            0.0
        })
    }

    /// What the plugin holds, as a JSON object.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] where the plugin does not count.
    pub async fn usage(&self) -> Result<Payload, Error> {
        self.control(control::USAGE, 0, Payload::empty())
            .await
            .result
    }

    /// What the next generation goes on with, and the version of that: runs the author's `save`,
    /// which may block: await it on a thread to spare.
    ///
    /// # Errors
    ///
    /// The author's error or panic.
    pub async fn save(&self) -> Result<Snapshot, Error> {
        let outcome = self.control(control::SAVE, 0, Payload::empty()).await;
        let bytes = outcome.result?;
        let version = u32::try_from(outcome.number).unwrap_or(u32::MAX);
        Ok(Snapshot { version, bytes })
    }

    /// Goes on with what another generation saved: runs the author's `restore`, which may block:
    /// await it on a thread to spare.
    ///
    /// # Errors
    ///
    /// The author's error or panic.
    pub async fn restore(&self, saved: &Snapshot) -> Result<(), Error> {
        let (version, bytes) = (u64::from(saved.version), saved.bytes.clone());
        let outcome = self.control(control::RESTORE, version, bytes).await;
        outcome.result.map(drop)
    }

    /// Whether its process has ended. True before anybody is answered that it has.
    pub fn is_dead(&self) -> bool {
        let worker = self.0.generation.worker();
        worker.is_some_and(|worker| worker.exit().is_some())
    }

    /// Lets no task of the instance go on, where its tasks do not run on the host's threads; ready
    /// when none is under way.
    ///
    /// # Errors
    ///
    /// The end of its process.
    pub async fn freeze(&self) -> Result<(), Error> {
        self.control_there(octa_wire::control::FREEZE).await
    }

    /// Lets them go on.
    ///
    /// # Errors
    ///
    /// The end of its process.
    pub async fn thaw(&self) -> Result<(), Error> {
        self.control_there(octa_wire::control::THAW).await
    }

    async fn control_there(&self, what: u32) -> Result<(), Error> {
        if self.0.generation.worker().is_none() {
            return Ok(());
        }
        self.control(what, 0, Payload::empty())
            .await
            .result
            .map(drop)
    }

    /// Asks one of the `control` numbers of the ABI, which says what the parts mean and where it
    /// may be awaited.
    pub async fn control(&self, what: u32, number: u64, argument: Payload) -> Outcome {
        let shared = &self.0;
        // Counted first and looked second, as at the gate: `destroy` closes first.
        let _entered = Entered::new(shared);
        if let Err(gone) = shared.bridge.gone() {
            return gone.into();
        }
        let enter = shared.functions.control();
        let mut work: Option<Work> = None;
        poll_fn(|cx| {
            if let Some(work) = &mut work {
                return std::pin::Pin::new(work).poll(cx);
            }
            let bytes = argument.as_abi();
            let started = shared.begin(
                cx.waker(),
                Slot::take(),
                None,
                None,
                Errand::control(what),
                |waker, slot, future, reply| {
                    enter(
                        shared.instance.0,
                        what,
                        number,
                        &bytes,
                        waker,
                        slot,
                        future,
                        reply,
                    )
                },
            );
            match started {
                Started::Ready(outcome) => Poll::Ready(outcome),
                Started::Pending(pending) => {
                    work = Some(pending);
                    Poll::Pending
                }
                Started::TurnedAway(error) => Poll::Ready(error.into()),
            }
        })
        .await
    }

    /// Whether code of the instance may be running, or may be gone on with.
    pub fn is_busy(&self) -> bool {
        let shared = &self.0;
        shared.ledger.unfinished() > 0
            || shared.gate.count() > 0
            || shared.entered.load(Ordering::SeqCst) > 0
    }

    /// Ends the instance: runs the author's drop, which may block. From now on its handles on
    /// the host answer that the plugin is gone.
    ///
    /// False, and nothing done, while calls, deliveries or tasks are unfinished: the instance
    /// then stays, since its code may still be running. True also if it was destroyed before.
    pub fn destroy(self) -> bool {
        let shared = &self.0;
        shared.gate.end();
        shared.bridge.close();
        if self.is_busy() || shared.destroyed.swap(true, Ordering::SeqCst) {
            return shared.is_gone.load(Ordering::SeqCst);
        }
        let generation = &shared.generation;
        generation.run(Errand::step(Step::Drop), || {
            shared.functions.destroy()(shared.instance.0)
        });
        if generation.dismiss() {
            generation.retire();
        }
        shared.is_gone.store(true, Ordering::SeqCst);
        true
    }

    fn not_open(&self) -> Started {
        Started::TurnedAway(unavailable(&self.0.name))
    }
}

/// Makes an instance in this process.
fn create_here(
    generation: &Generation,
    functions: abi::PluginFunctions_Ref,
    bridge: &Arc<Bridge>,
    options: &CreateOptions,
) -> Result<*const (), Error> {
    let name = generation.manifest().name.as_str();
    let request = abi::CreateRequest {
        host: Bridge::lend(bridge),
        log_level: options.log_level as u32,
        flags: if generation.is_linked() {
            create_flag::LINKED
        } else {
            0
        },
        name: name.into(),
        config: options.config.as_abi(),
        headers: (&[][..]).into(),
    };
    let mut instance = std::ptr::null();
    let mut reply = empty_reply();
    generation.run(Errand::step(Step::Create), || {
        functions.create()(&request, &mut instance, &mut reply)
    });
    read_reply(reply, name).result.map(|_| instance)
}

fn unavailable(plugin: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("plugin `{plugin}` is not started"),
    )
}

impl Shared {
    /// Enters the plugin with a place for its future.
    #[inline(always)]
    fn begin(
        self: &Arc<Self>,
        waker: &Waker,
        mut slot: Slot,
        inside: Option<Inside>,
        borrowed: Option<Box<dyn Any + Send>>,
        errand: Errand,
        enter: impl FnOnce(&abi::Waker, &abi::Slot, &mut abi::Future, &mut abi::Reply) -> u32,
    ) -> Started {
        let place = slot.as_abi();
        let mut future = no_future();
        let mut reply = empty_reply();
        let status = (self.generation).run(errand, || {
            lend(waker, |waker| enter(waker, &place, &mut future, &mut reply))
        });
        if status == status::PENDING {
            let waker = Some(waker.clone());
            let work = Work::new(self, Some(errand), future, slot, inside, borrowed, waker);
            return Started::Pending(work);
        }
        let mut outcome = read_reply(reply, &self.name);
        if status != status::READY {
            outcome = self.unknown(status, &future, errand);
        }
        slot.give_back();
        if let Some(inside) = inside {
            self.gate.leave(inside);
        }
        Started::Ready(outcome)
    }

    /// What becomes of work that a plugin of a later version left behind.
    #[cold]
    #[inline(never)]
    fn unknown(&self, status: u32, future: &abi::Future, errand: Errand) -> Outcome {
        let errand = errand.part(Part::Drop);
        (self.generation).run(errand, || (future.drop)(future.data));
        unknown_status(&self.name, status).into()
    }

    /// Takes over a task that the plugin spawned.
    pub(crate) fn adopt(self: &Arc<Self>, future: abi::Future) -> Work {
        Work::new(self, None, future, Slot::take(), None, None, None)
    }
}

/// Counts an entry for as long as it lasts.
pub(crate) struct Entered<'a>(&'a AtomicUsize);

impl<'a> Entered<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        shared.entered.fetch_add(1, Ordering::SeqCst);
        Self(&shared.entered)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A future to be overwritten.
fn no_future() -> abi::Future {
    extern "C" fn poll(_: *mut (), _: &abi::Waker, _: &mut abi::Reply) -> u32 {
        status::READY
    }
    extern "C" fn drop(_: *mut ()) {}
    abi::Future {
        data: std::ptr::null_mut(),
        poll,
        drop,
    }
}

/// Drives what was started to its end.
impl Started {
    /// Waits for the outcome.
    pub async fn finish(self) -> Outcome {
        match self {
            Self::Ready(outcome) => outcome,
            Self::Pending(work) => work.await,
            Self::TurnedAway(error) => error.into(),
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("plugin", &self.0.name)
            .field("gate", &self.0.gate)
            .field("unfinished", &self.unfinished())
            .finish_non_exhaustive()
    }
}
