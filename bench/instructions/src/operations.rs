//! What is counted, each to be repeated: calls, publishes, deliveries.

use std::{hint::black_box, thread};

use octa_bench_messages::{Advice, Reading};
use octa_kernel::{Capability, Payload, bus::Subscription};

use crate::scene::{Scene, ready};

/// How often each is done before it is counted, so that nothing happens for the first time.
const BEFORE: usize = 32;
/// How many handlers the plugin has for an event.
const HANDLERS: usize = 8;

/// What a kernel is made to do.
pub(crate) trait Operation {
    fn scene(self) -> Scene;

    fn perform(&self);
}

/// An operation, and how often it is performed when that is counted.
pub(crate) struct Counted<O> {
    operation: O,
    times: usize,
}

impl<O: Operation> Counted<O> {
    fn new(operation: O, times: usize) -> Self {
        for _ in 0..BEFORE {
            operation.perform();
        }
        Self { operation, times }
    }

    pub(crate) fn perform(self) -> Self {
        for _ in 0..self.times {
            self.operation.perform();
        }
        self
    }

    pub(crate) fn stop(self) {
        self.operation.scene().stop();
    }
}

/// A call on bytes.
pub(crate) struct Call {
    scene: Scene,
    capability: Capability,
}

impl Call {
    pub(crate) fn sync(times: usize) -> Counted<Self> {
        Self::of("bench.echo", times)
    }

    /// The handler is a future, which is ready at once.
    pub(crate) fn of_future(times: usize) -> Counted<Self> {
        Self::of("bench.echo_async", times)
    }

    fn of(name: &str, times: usize) -> Counted<Self> {
        let scene = Scene::start();
        let capability = scene.capability(name);
        Counted::new(Self { scene, capability }, times)
    }
}

impl Operation for Call {
    fn scene(self) -> Scene {
        self.scene
    }

    fn perform(&self) {
        let answer = ready(self.capability.call(black_box(&self.scene.bytes)));
        drop(black_box(answer.expect("the plugin answers")));
    }
}

/// A call with typed JSON on both sides.
pub(crate) struct TypedCall {
    scene: Scene,
    reading: Reading,
}

impl TypedCall {
    pub(crate) fn json(times: usize) -> Counted<Self> {
        let (scene, reading) = (Scene::start(), Reading::sample());
        Counted::new(Self { scene, reading }, times)
    }
}

impl Operation for TypedCall {
    fn scene(self) -> Scene {
        self.scene
    }

    fn perform(&self) {
        let reading = black_box(&self.reading);
        let advice = ready(self.scene.kernel.call::<Advice>("bench.advise", reading));
        drop(black_box(advice.expect("the plugin answers")));
    }
}

/// A publish to subscriptions of the host, which have room for all that is published.
pub(crate) struct Publish {
    scene: Scene,
    subscriptions: Vec<Subscription>,
}

impl Publish {
    pub(crate) fn to<const SUBSCRIBERS: usize>(times: usize) -> Counted<Self> {
        let scene = Scene::start();
        let subscribe = |_| ready(scene.kernel.subscribe("room.*")).expect("a good pattern");
        let subscriptions = (0..SUBSCRIBERS).map(subscribe).collect();
        let publish = Self {
            scene,
            subscriptions,
        };
        Counted::new(publish, times)
    }
}

impl Operation for Publish {
    fn scene(self) -> Scene {
        self.scene
    }

    fn perform(&self) {
        let bytes = black_box(&self.scene.bytes);
        let matched = ready(self.scene.kernel.publish("room.bench", bytes));
        assert_eq!(matched.expect("a good topic"), self.subscriptions.len());
    }
}

/// A publish to the plugin's handlers, until all of them have finished: one event at a time,
/// since those that are handled together cost less.
pub(crate) struct Deliver {
    scene: Scene,
    handled: Capability,
}

impl Deliver {
    pub(crate) fn to_handlers(times: usize) -> Counted<Self> {
        let scene = Scene::start();
        let handled = scene.capability("bench.handled");
        Counted::new(Self { scene, handled }, times)
    }

    fn handled(&self) -> u64 {
        let answer = ready(self.handled.call(&Payload::empty())).expect("the plugin answers");
        u64::from_le_bytes((*answer).try_into().expect("eight bytes"))
    }
}

impl Operation for Deliver {
    fn scene(self) -> Scene {
        self.scene
    }

    fn perform(&self) {
        let end = self.handled() + HANDLERS as u64;
        let matched = ready(self.scene.kernel.publish("bench.event", &self.scene.bytes));
        assert_eq!(matched.expect("a good topic"), HANDLERS);
        while self.handled() < end {
            thread::yield_now();
        }
    }
}
