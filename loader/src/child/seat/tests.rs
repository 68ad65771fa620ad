//! What becomes of the events that an instance waits for: a host that has some, and a worker that
//! takes them or does not.

use std::{
    collections::VecDeque,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use octa_plugin_abi::operation;
use octa_plugin_api::{Error, ErrorKind, Payload, export, tentacle};
use octa_wire::{Envelope, ToKernel, ToWorker};
use parking_lot::Mutex;

use super::{Seat, Session};
use crate::{
    LinkedRoot, Manifest,
    bridge::{BoxFuture, Bridge, Host, LogLine, Request, Submitted},
    link::Link,
    outcome::Outcome,
};

#[derive(Default)]
struct Nobody;

#[tentacle(name = "nobody")]
impl Nobody {}

/// A host with one subscription.
#[derive(Clone, Default)]
struct House(Arc<Rooms>);

#[derive(Default)]
struct Rooms {
    events: Mutex<Events>,
    driven: Mutex<Vec<BoxFuture<()>>>,
}

#[derive(Default)]
struct Events {
    queue: VecDeque<u32>,
    answered: Option<u32>,
    has_ended: bool,
    /// Done as soon as an event has left the queue.
    then: Option<Box<dyn FnOnce() + Send>>,
}

/// The wait for one of its events, as the kernel has it.
struct Wait {
    house: House,
    has_answered: bool,
}

impl Future for Wait {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Outcome> {
        let mut events = self.house.0.events.lock();
        if events.has_ended {
            return Poll::Ready(Error::new(ErrorKind::NotFound, "it has ended").into());
        }
        let Some(event) = events.queue.pop_front() else {
            return Poll::Pending;
        };
        events.answered = Some(event);
        let then = events.then.take();
        drop(events);
        self.has_answered = true;
        then.into_iter().for_each(|then| then());
        Poll::Ready(Outcome::ok(0, event.to_string().into_bytes().into()))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if self.has_answered {
            self.house.0.events.lock().answered = None;
        }
    }
}

impl Host for House {
    fn submit(&self, request: &Request<'_>, _: &mut Context<'_>) -> Submitted {
        let mut events = self.0.events.lock();
        if request.operation == operation::UNSUBSCRIBE {
            events.has_ended = true;
            return Submitted::Ready(Outcome::ok(1, Payload::empty()));
        }
        if let Some(event) = events.answered.take() {
            events.queue.push_front(event);
        }
        Submitted::New(Box::pin(Wait {
            house: self.clone(),
            has_answered: false,
        }))
    }

    fn drive(&self, future: BoxFuture<()>) {
        self.0.driven.lock().push(future);
    }

    fn run_task(&self, task: BoxFuture<()>) {
        self.drive(task);
    }

    fn log(&self, _: &LogLine<'_>) {}
}

struct Bench {
    house: House,
    seat: Arc<Seat>,
    worker: Link,
    _session: Arc<Session>,
}

impl Bench {
    fn new() -> Self {
        let (ours, end) = Link::pair(1 << 12).expect("a connection");
        let worker = Link::inherited(end.socket, end.memory).expect("its end");
        for link in [&ours, &worker] {
            link.use_rings();
        }
        let session = Session::new(ours, "nobody".into());
        let linked = export::linked::<Nobody>();
        let manifest = Manifest::from_json(linked.manifest.as_bytes()).expect("a manifest");
        let generation = LinkedRoot::of(&linked).generation(Arc::new(manifest));
        let house = House::default();
        let bridge = Bridge::new("nobody".into(), generation, Arc::new(house.clone()));
        Self {
            house,
            seat: Seat::new(1, &session, bridge),
            worker,
            _session: session,
        }
    }

    fn publish(&self, event: u32) {
        self.house.0.events.lock().queue.push_back(event);
    }

    /// What lies in the queue.
    fn queued(&self) -> Vec<u32> {
        self.house.0.events.lock().queue.iter().copied().collect()
    }

    /// Whether the host knows that everything was taken.
    fn is_taken(&self) -> bool {
        self.house.0.events.lock().answered.is_none()
    }

    fn ask(&self, number: u64) {
        submit(&self.seat, number, operation::NEXT_EVENT);
    }

    fn cancel(&self, number: u64) {
        cancel(&self.seat, number);
    }

    /// Goes on with what is driven; answers what the worker hears: operation and event.
    fn run(&self) -> Vec<(u64, String)> {
        let mut driven = mem::take(&mut *self.house.0.driven.lock());
        let mut cx = Context::from_waker(Waker::noop());
        driven.retain_mut(|future| future.as_mut().poll(&mut cx).is_pending());
        self.house.0.driven.lock().append(&mut driven);
        let mut heard = Vec::new();
        let mut receiving = self.worker.receive();
        while let Some(frame) = receiving.next().expect("the connection is open") {
            let ToWorker::Reply {
                operation, answer, ..
            } = ToWorker::decode(frame).expect("a message")
            else {
                panic!("nothing else is said");
            };
            let text = String::from_utf8_lossy(answer.payload).into_owned();
            heard.push((operation, text));
        }
        heard
    }

    #[track_caller]
    fn hears(&self, number: u64, event: u32) {
        assert_eq!(self.run(), [(number, event.to_string())]);
    }

    #[track_caller]
    fn hears_nothing(&self) {
        assert_eq!(self.run(), []);
    }
}

fn submit(seat: &Arc<Seat>, number: u64, operation: u32) {
    let message = ToKernel::Submit {
        instance: 1,
        number,
        operation,
        flags: 0,
        argument: 7,
        target: "",
        key: "",
        envelope: Envelope::default(),
        payload: b"",
    };
    assert!(seat.handle(message).is_ok(), "it makes sense");
}

fn cancel(seat: &Arc<Seat>, number: u64) {
    let message = ToKernel::CancelOperation {
        instance: 1,
        number,
    };
    assert!(seat.handle(message).is_ok(), "it makes sense");
}

#[test]
fn an_event_whose_answer_crosses_a_cancel_comes_again() {
    let bench = Bench::new();
    (1..4).for_each(|event| bench.publish(event));
    bench.ask(10);
    bench.hears(10, 1);
    bench.cancel(10);
    assert_eq!(bench.queued(), [1, 2, 3]);
    bench.ask(11);
    bench.hears(11, 1);
    bench.ask(12);
    bench.hears(12, 2);
    // Of those before it is known that they were taken.
    bench.cancel(11);
    assert_eq!(bench.queued(), [3]);
}

#[test]
fn who_is_cancelled_takes_nothing() {
    let bench = Bench::new();
    bench.ask(10);
    bench.hears_nothing();
    bench.cancel(10);
    bench.publish(1);
    bench.hears_nothing();
    assert_eq!(bench.queued(), [1]);
    assert!(bench.house.0.driven.lock().is_empty(), "it has ended");
    bench.ask(11);
    bench.hears(11, 1);
}

#[test]
fn a_wait_goes_on_for_who_asks_after_the_cancelled() {
    let bench = Bench::new();
    bench.ask(10);
    bench.hears_nothing();
    bench.cancel(10);
    bench.ask(11);
    bench.publish(1);
    assert_eq!(bench.house.0.driven.lock().len(), 1, "one wait");
    bench.hears(11, 1);
}

#[test]
fn an_event_that_leaves_the_queue_as_its_wait_is_cancelled_goes_back() {
    for asks_again in [false, true] {
        let bench = Bench::new();
        bench.ask(10);
        bench.publish(1);
        bench.publish(2);
        let seat = bench.seat.clone();
        bench.house.0.events.lock().then = Some(Box::new(move || {
            cancel(&seat, 10);
            if asks_again {
                submit(&seat, 11, operation::NEXT_EVENT);
            }
        }));
        if asks_again {
            bench.hears(11, 1);
            assert_eq!(bench.queued(), [2]);
        } else {
            bench.hears_nothing();
            assert_eq!(bench.queued(), [1, 2]);
        }
    }
}

#[test]
fn nothing_is_kept_of_a_subscription_that_has_ended() {
    let bench = Bench::new();
    bench.publish(1);
    bench.ask(10);
    bench.hears(10, 1);
    assert!(!bench.is_taken());
    submit(&bench.seat, 11, operation::UNSUBSCRIBE);
    assert!(bench.is_taken());
    assert_eq!(bench.run(), [(11, String::new())]);
    bench.ask(12);
    let [(12, error)] = &bench.run()[..] else {
        panic!("an error");
    };
    assert!(error.contains("it has ended"), "{error}");
    assert!(bench.seat.ears.lock().is_empty());
}

#[test]
fn who_is_let_go_waits_no_more() {
    let bench = Bench::new();
    bench.publish(1);
    bench.ask(10);
    bench.hears(10, 1);
    bench.ask(11);
    bench.hears_nothing();
    bench.seat.let_go();
    bench.publish(2);
    bench.hears_nothing();
    assert_eq!(bench.queued(), [2]);
    assert!(bench.house.0.driven.lock().is_empty(), "it has ended");
}
