//! What the tests call: a plugin whose every generation has a number of its own, and a host that
//! serves its calls.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context as TaskContext, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use octa_loader::{
    BoxFuture, CreateOptions, Envelope, Host, Instance, LogLine, Manifest, Outcome, Request,
    Submitted, operation,
};
use octa_plugin_api::{
    Context, Error, Payload, Result, Schema, Tentacle, block_on, decode, export, tentacle,
};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;

use crate::{
    Linked,
    fate::Fate,
    kernel::HOST,
    pool::Pool,
    services::{Begun, Health, Intake, PendingCall, Probation, Services},
    spare::Spare,
    time::{Clock, VirtualClock},
};

/// What a call of a lamp ends with.
pub(super) type Answer = std::result::Result<u64, String>;

/// How long a test waits for what should happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often each generation was called, by its number.
static HANDLED: Mutex<Option<HashMap<u64, u64>>> = Mutex::new(None);

#[derive(Deserialize, Schema)]
pub(super) struct Settings {
    number: u64,
}

/// One generation.
pub(super) struct Generation(u64);

impl Generation {
    fn handle(&self) -> u64 {
        *HANDLED
            .lock()
            .get_or_insert_default()
            .entry(self.0)
            .or_default() += 1;
        self.0
    }
}

/// Answers which generation it is, in several ways.
#[tentacle(name = "lamp", calls = "**")]
impl Tentacle for Generation {
    type Config = Settings;

    fn create(settings: Settings) -> Result<Self> {
        Ok(Self(settings.number))
    }

    #[capability("lamp.read", idempotent)]
    fn read(&self) -> Result<u64> {
        Ok(self.handle())
    }

    #[capability("lamp.block", blocking)]
    fn block(&self) -> Result<u64> {
        Ok(self.handle())
    }

    #[capability("lamp.hold")]
    async fn hold(&self, ctx: &Context) -> Result<u64> {
        ctx.sleep(Duration::from_secs(3600)).await;
        Ok(self.handle())
    }

    /// How many seconds the call has left.
    #[capability("lamp.left")]
    fn left(&self, ctx: &Context) -> Result<u64> {
        Ok(ctx.remaining().unwrap_or_default().as_secs())
    }

    /// What another one answers.
    #[capability("lamp.ask")]
    async fn ask(&self, ctx: &Context, capability: String) -> Result<u64> {
        ctx.call(&capability, &()).await
    }

    /// The same, after a second.
    #[capability("lamp.ask_later")]
    async fn ask_later(&self, ctx: &Context, capability: String) -> Result<u64> {
        ctx.sleep(Duration::from_secs(1)).await;
        ctx.call(&capability, &()).await
    }

    #[capability("lamp.panic")]
    fn panic(&self) -> Result<u64> {
        panic!("on purpose")
    }

    #[capability("lamp.panic_later")]
    async fn panic_later(&self, ctx: &Context) -> Result<u64> {
        ctx.sleep(Duration::from_secs(1)).await;
        panic!("on purpose")
    }

    #[capability("lamp.panic_blocking", blocking)]
    fn panic_blocking(&self) -> Result<u64> {
        panic!("on purpose")
    }

    /// Which attempt it is, after a second.
    #[capability("lamp.attempt", idempotent)]
    async fn attempt(&self, ctx: &Context) -> Result<u64> {
        ctx.sleep(Duration::from_secs(1)).await;
        self.handle();
        Ok(u64::from(ctx.attempt()))
    }
}

/// A generation that is open.
pub(super) struct Lamp {
    pub(super) instance: Instance,
    pub(super) number: u64,
    pub(super) manifest: Arc<Manifest>,
    /// Whether its process is dead, as far as the kernel can see.
    pub(super) is_dead: Arc<AtomicBool>,
    fate: Fate,
}

impl Lamp {
    /// Ends what is under way as the death of a process does.
    pub(super) fn die(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
        self.instance.interrupt(PATIENCE);
        self.instance.close();
    }
}

/// Where lamps are.
pub(super) struct House<C> {
    pub(super) services: Services,
    pub(super) clock: C,
    pool: Pool,
}

impl<C: Clock + Clone> House<C> {
    pub(super) fn new(clock: C) -> Self {
        let keep: crate::pool::Keep = Arc::new(());
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let (spare, pool) = (Spare::new(&keep), Pool::new(1, &keep));
        let services = Services::new(shared, spare, pool.clone(), Duration::from_secs(30));
        Self {
            services,
            clock,
            pool,
        }
    }

    /// Waits until the pool has done what was to be done.
    pub(super) fn settle(&self) {
        self.pool.settle();
    }

    /// A new generation of the plugin of this name.
    pub(super) fn lamp(&self, plugin: &str) -> Lamp {
        self.make(plugin, |_| {})
    }

    /// One whose manifest lacks a capability, which has to be the last of those it offers.
    pub(super) fn lamp_without(&self, plugin: &str, capability: &str) -> Lamp {
        self.make(plugin, |manifest| {
            let is_other = |c: &octa_loader::Capability| c.name != capability;
            let known = manifest
                .capabilities
                .iter()
                .take_while(|c| is_other(c))
                .count();
            manifest.capabilities.truncate(known);
        })
    }

    pub(super) fn lamp_not_idempotent(&self, plugin: &str) -> Lamp {
        self.make(plugin, |manifest| {
            for capability in &mut manifest.capabilities {
                capability.idempotent = false;
            }
        })
    }

    fn make(&self, plugin: &str, change: impl FnOnce(&mut Manifest)) -> Lamp {
        self.make_of::<Generation>(plugin, change)
    }

    /// An instance of any plugin that is configured by its number.
    pub(super) fn make_of<T: export::Exported>(
        &self,
        plugin: &str,
        change: impl FnOnce(&mut Manifest),
    ) -> Lamp {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let linked = Linked::new(&export::linked::<T>()).expect("a manifest");
        let mut manifest = Manifest::clone(linked.manifest());
        manifest.name = plugin.to_owned();
        change(&mut manifest);
        let manifest = Arc::new(manifest);
        let desk = Arc::new(Desk {
            plugin: plugin.to_owned(),
            services: self.services.clone(),
            clock: Box::new(self.clock.clone()),
        });
        let options = CreateOptions {
            config: Payload::json(&json!({ "number": number })).expect("JSON"),
            log_level: log::LevelFilter::Off,
        };
        let generation = linked.root().generation(manifest.clone());
        let instance = Instance::create(&generation, desk, &options).expect("an instance");
        instance.open();
        let is_dead = Arc::new(AtomicBool::new(false));
        let seen = is_dead.clone();
        Lamp {
            instance,
            number,
            manifest,
            is_dead,
            fate: Fate::own(move || seen.load(Ordering::SeqCst)),
        }
    }

    pub(super) fn offer(
        &self,
        lamp: &Lamp,
        intake: &Intake,
        probation: Option<&Arc<Probation>>,
    ) -> Arc<Health> {
        let (instance, manifest) = (&lamp.instance, &lamp.manifest);
        let health = Arc::new(Health::default());
        self.services.register(
            instance,
            manifest,
            &health,
            intake,
            probation.cloned(),
            &lamp.fate,
        );
        health
    }

    /// Offers `lamp.ask` as `relay`, a name that no lamp offers.
    pub(super) fn offer_relay(&self, lamp: &Lamp) {
        let mut manifest = Manifest::clone(&lamp.manifest);
        for (number, capability) in manifest.capabilities.iter_mut().enumerate() {
            capability.name = match &*capability.name {
                "lamp.ask" => "relay".to_owned(),
                _ => format!("relay.{number}"),
            };
        }
        let health = Arc::new(Health::default());
        self.services.register(
            &lamp.instance,
            &manifest,
            &health,
            &Intake::default(),
            None,
            &lamp.fate,
        );
    }

    pub(super) fn handled(&self, number: u64) -> u64 {
        let handled = HANDLED.lock();
        handled
            .as_ref()
            .and_then(|all| all.get(&number))
            .copied()
            .unwrap_or_default()
    }

    /// Calls a capability.
    pub(super) fn call(
        &self,
        capability: &str,
        limit: Option<Duration>,
    ) -> impl Future<Output = Answer> + Send + use<C> {
        self.call_with(capability, limit, &json!(null))
    }

    /// Calls a capability by way of the relay.
    pub(super) fn ask(&self, capability: &str) -> impl Future<Output = Answer> + Send + use<C> {
        self.call_with("relay", None, &json!(capability))
    }

    pub(super) fn call_with(
        &self,
        capability: &str,
        limit: Option<Duration>,
        input: &serde_json::Value,
    ) -> impl Future<Output = Answer> + Send + use<C> {
        let services = self.services.clone();
        let route = services.find(capability).expect("it is known");
        let payload = Payload::json(input).expect("JSON");
        async move {
            let envelope = Envelope {
                remaining: limit,
                ..Envelope::of(HOST)
            };
            let mut pending: Option<PendingCall> = None;
            let outcome = std::future::poll_fn(|cx| {
                if let Some(pending) = &mut pending {
                    return Pin::new(pending).poll(cx);
                }
                match services.begin(&route, &envelope, 1, &payload, true, cx) {
                    Begun::Ready(outcome) => Poll::Ready(outcome),
                    Begun::Pending(call) => {
                        pending = Some(call);
                        Poll::Pending
                    }
                }
            });
            let answer = outcome.await.result.and_then(|output| decode(&output));
            answer.map_err(|error| format!("{error:?}"))
        }
    }

    /// Calls a capability that answers at once.
    pub(super) fn call_now(&self, capability: &str) -> Answer {
        Polled::new(self.call(capability, None)).answer_at_once()
    }
}

/// A clock that does something when a deadline is armed: a call has looked at its providers then.
#[derive(Clone, Default)]
pub(super) struct Tripwire {
    clock: VirtualClock,
    trip: Arc<Mutex<Option<Trip>>>,
}

type Trip = Box<dyn FnOnce() + Send>;

impl Tripwire {
    pub(super) fn set(&self, trip: impl FnOnce() + Send + 'static) {
        *self.trip.lock() = Some(Box::new(trip));
    }
}

impl Clock for Tripwire {
    fn monotonic(&self) -> Duration {
        let trip = self.trip.lock().take();
        if let Some(trip) = trip {
            trip();
        }
        self.clock.monotonic()
    }

    fn wall(&self) -> Duration {
        self.clock.wall()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<()> {
        self.clock.sleep(time)
    }
}

impl fmt::Debug for Tripwire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tripwire")
    }
}

/// What an instance reaches: calls and sleep.
struct Desk {
    plugin: String,
    services: Services,
    clock: Box<dyn Clock>,
}

impl Host for Desk {
    fn submit(&self, request: &Request<'_>, cx: &mut TaskContext<'_>) -> Submitted {
        match request.operation {
            operation::CALL => self.call(request, cx),
            operation::SLEEP => {
                let sleep = self.clock.sleep(Duration::from_nanos(request.number));
                Submitted::New(Box::pin(async move {
                    sleep.await;
                    Outcome::ok(0, Payload::empty())
                }))
            }
            other => Submitted::Ready(Error::msg(format!("no operation {other}")).into()),
        }
    }

    fn drive(&self, future: BoxFuture<()>) {
        self.run_task(future);
    }

    fn run_task(&self, task: BoxFuture<()>) {
        thread::spawn(move || block_on(task));
    }

    fn log(&self, _: &LogLine<'_>) {}
}

impl Desk {
    fn call(&self, request: &Request<'_>, cx: &mut TaskContext<'_>) -> Submitted {
        let route = match self.services.find(request.target) {
            Ok(route) => route,
            Err(error) => return Submitted::Ready(error.into()),
        };
        let envelope = Envelope {
            caller: &self.plugin,
            ..request.envelope
        };
        match self
            .services
            .begin(&route, &envelope, 1, &request.payload, true, cx)
        {
            Begun::Ready(outcome) => Submitted::Ready(outcome),
            Begun::Pending(call) => Submitted::Waiting(Box::pin(call)),
        }
    }
}

/// A future that is polled by hand, and only when it has asked for it.
pub(super) struct Polled<T> {
    future: BoxFuture<T>,
    woken: Arc<Woken>,
}

struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl<T: Send + 'static> Polled<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            future: Box::pin(future),
            woken: Arc::new(Woken(AtomicUsize::new(1))),
        }
    }

    pub(super) fn poll(&mut self) -> Poll<T> {
        self.woken.0.store(0, Ordering::SeqCst);
        let waker = Waker::from(self.woken.clone());
        self.future
            .as_mut()
            .poll(&mut TaskContext::from_waker(&waker))
    }

    /// The answer of what has asked to be polled.
    pub(super) fn answer(self) -> T {
        let asked = self.woken.0.load(Ordering::SeqCst) > 0;
        assert!(asked, "nothing has woken it");
        let (tell, told) = mpsc::channel();
        thread::spawn(move || tell.send(block_on(self.future)));
        told.recv_timeout(PATIENCE).expect("it ends")
    }

    /// What is there without waiting.
    pub(super) fn answer_at_once(mut self) -> T {
        match self.poll() {
            Poll::Ready(answer) => answer,
            Poll::Pending => panic!("it waits"),
        }
    }
}
