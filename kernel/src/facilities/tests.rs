//! The facilities as an instance meets them, without the boundary: requests are made by hand, time
//! is virtual, and the pool has one thread unless said otherwise, so that what is queued there runs in order.

mod early;
mod handover;
mod journal;
mod leftovers;
mod publishing;
mod retained;
mod standstill;
mod threads;
mod values;

use std::{sync::mpsc, task::Waker};

use octa_loader::{CreateOptions, Instance, publish_flag};
use octa_plugin_api::{block_on, export};

use super::*;
use crate::{
    bus::{Subscription, SubscriptionOptions},
    config::Config,
    fate::Fate,
    journal::Neighbours,
    linked::Linked,
    pool::Keep,
    services::Intake,
    spare::Spare,
    storage::{Memory, Quota},
    time::VirtualClock,
};

/// What each namespace of the state may hold.
const QUOTA: Quota = Quota { bytes: 1 << 10 };
const DEADLINE: Duration = Duration::from_secs(30);

/// A kernel without a manager.
struct Bench {
    commons: Commons,
    clock: VirtualClock,
    _runtime: tokio::runtime::Runtime,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.commons.pool.end();
    }
}

impl Bench {
    fn new() -> Self {
        Self::with_threads(1)
    }

    fn with_threads(threads: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().expect("a runtime");
        let clock = VirtualClock::default();
        let keep: Keep = Arc::new(());
        let (shared, wall): (Arc<dyn Clock>, _) = (Arc::new(clock.clone()), clock.clone());
        let pool = Pool::new(threads, &keep);
        let storage = Storage::new(Memory::new());
        let handle = runtime.handle().clone();
        let bus = Bus::new(Arc::new(move || number(wall.wall()).number));
        let services = Services::new(shared.clone(), Spare::new(&keep), pool.clone(), DEADLINE);
        let commons = Commons {
            journals: Journals::new(&storage, &bus, &shared, &handle, Neighbours::None),
            bus,
            letters: DeadLetters::new(shared.clone()),
            services,
            state: State::new(shared.clone(), QUOTA),
            storage,
            clock: shared,
            pool,
            runtime: handle,
        };
        Self {
            commons,
            clock,
            _runtime: runtime,
        }
    }

    fn serving(&self) -> Arc<Facilities> {
        Facilities::new(self.commons.clone(), manifest(), allow())
    }

    fn on_trial(&self) -> Arc<Facilities> {
        Facilities::on_trial(self.commons.clone(), manifest(), allow())
    }

    fn subscribe(
        &self,
        options: impl FnOnce(SubscriptionOptions) -> SubscriptionOptions,
    ) -> Subscription {
        let pattern = "lamp.**".parse().expect("a pattern");
        let subscription = SubscriptionOptions::new("listener", pattern).capacity(1 << 20);
        self.commons.bus.subscribe(options(subscription))
    }

    /// Waits until the pool has run all that was queued there before.
    fn settle(&self) {
        let (tell, told) = mpsc::channel();
        self.commons.pool.spawn(telling(tell));
        told.recv().expect("the pool runs it");
    }

    /// An instance of a plugin in this program, with what it reaches.
    fn instance<T: export::Exported>(&self) -> (Instance, Arc<Facilities>) {
        let linked = Linked::new(&export::linked::<T>()).expect("a manifest");
        let manifest = linked.manifest().clone();
        let facilities = Facilities::new(self.commons.clone(), manifest.clone(), allow());
        let generation = linked.root().generation(manifest);
        let options = CreateOptions {
            config: Payload::json(&()).expect("JSON"),
            log_level: log::LevelFilter::Off,
        };
        let instance = Instance::create(&generation, facilities.clone(), &options);
        (instance.expect("it is made"), facilities)
    }

    /// Starts a plugin in this program and lets calls in.
    fn start<T: export::Exported>(&self) -> (Instance, Arc<Facilities>) {
        let (instance, facilities) = self.instance::<T>();
        block_on(instance.start()).expect("it starts");
        instance.open();
        self.commons.services.register(
            &instance,
            instance.generation().manifest(),
            &Arc::default(),
            &Intake::default(),
            None,
            &Fate::shared(),
        );
        (instance, facilities)
    }
}

fn manifest() -> Arc<Manifest> {
    let json = serde_json::json!({
        "manifest": "1.0",
        "name": "lamp",
        "version": "0.1.0",
        "abi": {"major": 1, "minor": 0, "fingerprint": "00ff00ff00ff00ff"},
        "compiler": "rustc 1.95.0",
        "panic": "unwind",
        "target": "x86_64-unknown-linux-gnu",
        "subscriptions": [{"pattern": "lamp.**"}],
        "permissions": {
            "call": ["desk.*"],
            "publish": ["lamp.**"],
            "storage": ["lamp"],
            "state": ["lamp"],
        },
    });
    Arc::new(Manifest::from_json(json.to_string().as_bytes()).expect("a manifest"))
}

fn allow() -> Allow {
    let text = "[plugins.lamp.allow]\ncall = [\"desk.*\"]\n";
    let config = Config::parse(text, "octa.toml").expect("a configuration");
    config.plugin("lamp").allow
}

fn request(operation: u32, target: &str) -> Request<'_> {
    Request {
        operation,
        flags: 0,
        number: 0,
        target,
        key: "",
        payload: Payload::empty(),
        envelope: Envelope::of(""),
    }
}

fn submit(facilities: &Facilities, request: &Request<'_>) -> Submitted {
    facilities.submit(request, &mut Context::from_waker(Waker::noop()))
}

fn ask(facilities: &Facilities, request: &Request<'_>) -> Result<Outcome, String> {
    let outcome = match submit(facilities, request) {
        Submitted::Ready(outcome) => outcome,
        Submitted::New(future) | Submitted::Waiting(future) => block_on(future),
    };
    match outcome.result {
        Ok(_) => Ok(outcome),
        Err(error) => Err(format!("{error:?}")),
    }
}

/// Says that it has run, or that it was dropped.
fn telling(tell: mpsc::Sender<()>) -> BoxFuture<()> {
    Box::pin(async move {
        let _ = tell.send(());
    })
}

/// Publishes a number; answers how many subscriptions matched.
fn publish(facilities: &Facilities, topic: &str, what: u64) -> Result<u64, String> {
    let payload = Payload::json(&what).expect("JSON");
    let request = Request {
        payload,
        ..request(operation::PUBLISH, topic)
    };
    ask(facilities, &request).map(|outcome| outcome.number)
}

fn subscribe(facilities: &Facilities, pattern: &str) -> Result<u64, String> {
    ask(facilities, &request(operation::SUBSCRIBE, pattern)).map(|outcome| outcome.number)
}

/// Begins to wait for the next event of a subscription.
fn next(facilities: &Facilities, subscription: u64) -> Result<BoxFuture<Outcome>, String> {
    let request = Request {
        number: subscription,
        ..request(operation::NEXT_EVENT, "")
    };
    match submit(facilities, &request) {
        Submitted::Ready(outcome) => Err(format!("{:?}", outcome.result.expect_err("no event"))),
        Submitted::New(future) | Submitted::Waiting(future) => Ok(future),
    }
}

fn is_ready(future: &mut BoxFuture<Outcome>) -> Option<Outcome> {
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        std::task::Poll::Ready(outcome) => Some(outcome),
        std::task::Poll::Pending => None,
    }
}

fn value(payload: &Payload) -> u64 {
    payload.parse().expect("a number")
}

/// What lies in a queue now.
fn received(subscription: &mut Subscription) -> Vec<u64> {
    let events = std::iter::from_fn(|| subscription.try_recv());
    events.map(|event| value(&event.payload)).collect()
}
