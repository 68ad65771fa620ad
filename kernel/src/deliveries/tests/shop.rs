//! A plugin whose handlers ask what to do, the host they ask, and all that delivers to them.

use std::{sync::Arc, task, time::Duration};

use octa_loader::{
    BoxFuture, CreateOptions, Host, Instance, LogLine, Outcome, Overflow, Request, Submitted,
    Subscription as Declared, operation,
};
use octa_plugin_api::{
    Context, Error, ErrorKind, Payload, Result, decode, export::linked, tentacle,
};
use tokio::sync::{mpsc, oneshot};

use super::super::{Deliveries, Lanes, Mailbox};
use crate::{
    bus::{Bus, PublishOutcome, Publisher, Subscription, SubscriptionOptions},
    dead_letters::DeadLetters,
    fate::Fate,
    linked::Linked,
    pool::{Keep, Pool},
    spare::Spare,
    time::VirtualClock,
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The handlers of [`Worker`].
pub(super) const WAITS: u32 = 0;
pub(super) const BLOCKS: u32 = 1;

#[derive(Default)]
struct Worker;

#[tentacle(calls = "desk.**", publishes = "worker.done")]
impl Worker {
    #[subscribe("work.**")]
    async fn waits(&self, ctx: &Context, number: u32) -> Result<()> {
        let question = (number, ctx.attempt());
        ctx.call::<_, ()>("desk.ask", &question).await?;
        // In the same poll as the return.
        ctx.publish("worker.done", &number).await.map(drop)
    }

    #[subscribe("work.**", blocking)]
    fn blocks(&self, ctx: &Context, number: u32) -> Result<()> {
        ctx.block_on(self.waits(ctx, number))?
    }
}

/// Who is asked.
pub(super) trait Desk: Send + Sync + 'static {
    fn ask(&self, number: u32, attempt: u32) -> BoxFuture<Result<()>>;
    fn done(&self, number: u32);
}

/// The host of one generation.
struct DeskHost<D> {
    desk: D,
    pool: Pool,
}

impl<D: Desk> Host for DeskHost<D> {
    fn submit(&self, request: &Request<'_>, _: &mut task::Context<'_>) -> Submitted {
        if request.operation == operation::PUBLISH {
            self.desk.done(decode(&request.payload).expect("a number"));
            return Submitted::Ready(Outcome::ok(0, Payload::empty()));
        }
        let (number, attempt) = decode(&request.payload).expect("a question");
        let answer = self.desk.ask(number, attempt);
        Submitted::New(Box::pin(async move {
            answer.await.and_then(|()| Payload::json(&())).into()
        }))
    }

    fn drive(&self, future: BoxFuture<()>) {
        self.pool.spawn(future);
    }

    fn run_task(&self, task: BoxFuture<()>) {
        self.pool.spawn(task);
    }

    fn log(&self, _: &LogLine<'_>) {}
}

/// A bus, and what delivers from it.
pub(super) struct Shop {
    pub(super) bus: Bus,
    pub(super) pool: Pool,
    pub(super) clock: VirtualClock,
    pub(super) letters: DeadLetters,
    spare: Spare,
    publisher: Publisher,
    /// Tells dead letters and drops.
    pub(super) kernel: Publisher,
    pub(super) dead: Subscription,
    pub(super) told: Subscription,
}

impl Shop {
    pub(super) fn new() -> Self {
        let bus = Bus::new(Arc::new(|| 0));
        let keep: Keep = Arc::new(());
        let clock = VirtualClock::default();
        let everything = |pattern: &str| {
            let pattern = pattern.parse().expect("a pattern");
            bus.subscribe(SubscriptionOptions::new("tester", pattern).capacity(100_000))
        };
        Self {
            dead: everything("kernel.dead_letter"),
            told: everything("kernel.bus.overflow"),
            pool: Pool::new(2, &keep),
            spare: Spare::new(&keep),
            publisher: bus.publisher("tester"),
            kernel: bus.publisher("kernel"),
            letters: DeadLetters::new(Arc::new(clock.clone())),
            clock,
            bus,
        }
    }

    pub(super) fn instance(&self, desk: impl Desk) -> Instance {
        let linked = Linked::new(&linked::<Worker>()).expect("a manifest");
        let generation = linked.root().generation(linked.manifest().clone());
        let options = CreateOptions {
            config: Payload::json(&()).expect("JSON"),
            log_level: log::LevelFilter::Off,
        };
        let pool = self.pool.clone();
        let instance = Instance::create(&generation, Arc::new(DeskHost { desk, pool }), &options);
        let instance = instance.expect("it is created");
        instance.open();
        instance
    }

    pub(super) fn deliveries(
        &self,
        instance: &Instance,
        handler: u32,
        declared: &Declared,
    ) -> Deliveries {
        Deliveries {
            instance: instance.clone(),
            handler,
            declared: declared.clone(),
            publisher: self.kernel.clone(),
            spare: self.spare.clone(),
            clock: Arc::new(self.clock.clone()),
            probation: None,
            fate: Fate::shared(),
        }
    }

    pub(super) fn mailbox(&self, declared: &Declared) -> Mailbox {
        Mailbox::open(&self.bus, &self.letters, "worker", 0, declared)
    }

    pub(super) fn publish(&self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            let payload = Payload::json(&number).expect("JSON");
            let outcome = self.publisher.publish("work.now", payload, 0);
            assert!(matches!(outcome, Ok(PublishOutcome::Ready(1))));
        }
    }

    /// The next dead letter, as `payload kind`.
    pub(super) async fn next_dead(&mut self) -> String {
        let letter = within(self.dead.recv()).await.expect("the bus is open");
        let letter: serde_json::Value = decode(&letter.payload).expect("JSON");
        let kind = letter["kind"].as_str().expect("a text");
        format!("{} {kind}", self.said(&letter))
    }

    /// What the event said that a notice tells of.
    pub(super) fn said(&self, notice: &serde_json::Value) -> String {
        let number = notice["letter"].as_u64().expect("a number");
        let letter = self.letters.get(number).expect("it is kept");
        String::from_utf8_lossy(&letter.event.payload).into_owned()
    }

    /// How many are told as dropped, notice by notice.
    pub(super) fn told(&mut self) -> Vec<u64> {
        let notices = std::iter::from_fn(|| self.told.try_recv());
        let notice = |payload: &Payload| decode::<serde_json::Value>(payload).expect("JSON");
        notices
            .filter_map(|event| notice(&event.payload)["dropped"].as_u64())
            .collect()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.pool.end();
        self.spare.end();
    }
}

/// A declaration of which nothing waits before it is tried again.
pub(super) fn declared(handler: u32) -> Declared {
    Declared {
        pattern: "work.**".parse().expect("a pattern"),
        description: String::new(),
        capacity: 1024,
        overflow: Overflow::DropOldest,
        concurrency: 1,
        retries: 0,
        backoff: Some(Duration::ZERO),
        backoff_max: None,
        blocking: handler == BLOCKS,
    }
}

/// What comes in a while, or a failed test.
pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    let patience = tokio::time::timeout(PATIENCE, future).await;
    patience.expect("what must come does not")
}

/// A shop whose handlers are answered by the test, one question at a time.
pub(super) struct Bench {
    pub(super) shop: Shop,
    pub(super) declared: Declared,
    handler: u32,
    pub(super) mailbox: Mailbox,
    tell: mpsc::UnboundedSender<Asked>,
    asked: mpsc::UnboundedReceiver<Asked>,
}

/// A handler that waits for its answer.
pub(super) struct Asked {
    pub(super) generation: u32,
    pub(super) number: u32,
    pub(super) attempt: u32,
    answer: oneshot::Sender<Result<()>>,
}

impl Asked {
    pub(super) fn ok(self) {
        let _ = self.answer.send(Ok(()));
    }

    pub(super) fn fail(self) {
        let _ = self.answer.send(Err(Error::msg("on purpose")));
    }

    /// Answers as an instance does that is not there any more.
    pub(super) fn turn_away(self) {
        let error = Error::new(ErrorKind::Unavailable, "nobody is there");
        let _ = self.answer.send(Err(error));
    }

    /// Answers as an instance does whose process ends.
    pub(super) fn interrupt(self) {
        let error = Error::new(ErrorKind::Interrupted, "the process is gone");
        let _ = self.answer.send(Err(error));
    }
}

struct Counter {
    generation: u32,
    tell: mpsc::UnboundedSender<Asked>,
}

impl Desk for Counter {
    fn ask(&self, number: u32, attempt: u32) -> BoxFuture<Result<()>> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked {
            generation: self.generation,
            number,
            attempt,
            answer,
        };
        let _ = self.tell.send(asked);
        Box::pin(async {
            answered
                .await
                .unwrap_or_else(|_| Err(Error::msg("unanswered")))
        })
    }

    fn done(&self, _: u32) {}
}

/// One generation of the bench.
pub(super) struct Served {
    pub(super) instance: Instance,
    pub(super) lanes: Lanes,
}

impl Served {
    /// What happens at the drain deadline.
    pub(super) async fn interrupt(&self) {
        self.instance.close();
        within(async {
            loop {
                // Again: what is polled for the first time is not seen yet.
                self.instance.interrupt(PATIENCE);
                tokio::select! {
                    biased;
                    () = self.lanes.gone() => return,
                    () = tokio::task::yield_now() => {}
                }
            }
        })
        .await;
    }
}

impl Bench {
    pub(super) fn new(handler: u32, change: impl FnOnce(&mut Declared)) -> Self {
        let shop = Shop::new();
        let mut declared = declared(handler);
        change(&mut declared);
        let (tell, asked) = mpsc::unbounded_channel();
        Self {
            mailbox: shop.mailbox(&declared),
            shop,
            declared,
            handler,
            tell,
            asked,
        }
    }

    /// Begins the lanes of a new generation.
    pub(super) fn begin(&self, generation: u32) -> Served {
        let instance = self.instance(generation);
        let lanes = self.lanes(&instance);
        Served { instance, lanes }
    }

    pub(super) fn lanes(&self, instance: &Instance) -> Lanes {
        let deliveries = self.deliveries(instance);
        Lanes::begin(vec![(self.mailbox.clone(), deliveries)], &self.shop.pool)
    }

    pub(super) fn deliveries(&self, instance: &Instance) -> Deliveries {
        self.shop.deliveries(instance, self.handler, &self.declared)
    }

    /// The instance of a new generation, without lanes.
    pub(super) fn instance(&self, generation: u32) -> Instance {
        let tell = self.tell.clone();
        self.shop.instance(Counter { generation, tell })
    }

    /// Whether a handler asks just now.
    pub(super) fn asks(&mut self) -> bool {
        self.asked.try_recv().is_ok()
    }

    /// The next handler that asks: it is of this generation, and its event is this one.
    pub(super) async fn asked(&mut self, generation: u32, number: u32, attempt: u32) -> Asked {
        let asked = self.next().await;
        let found = (asked.generation, asked.number, asked.attempt);
        assert_eq!(found, (generation, number, attempt));
        asked
    }

    /// The next handler that asks.
    pub(super) async fn next(&mut self) -> Asked {
        within(self.asked.recv()).await.expect("the bench asks")
    }

    /// Answers the handlers of these events.
    pub(super) async fn handles(&mut self, generation: u32, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.asked(generation, number, 0).await.ok();
        }
    }

    /// Checks that nothing is lost, told, or still to come.
    pub(super) async fn end(mut self, served: Served, delivered: u64) {
        served.lanes.leave();
        within(served.lanes.gone()).await;
        let counters = self.mailbox.handle().counters();
        assert_eq!((counters.delivered, counters.dropped), (delivered, 0));
        assert_eq!((counters.matched, counters.queued), (delivered, 0));
        assert!(!self.asks(), "begun twice");
        assert!(self.shop.dead.try_recv().is_none(), "a dead letter");
    }
}
