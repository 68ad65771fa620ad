//! The kernel's end, and a worker that says what it likes: nothing it says makes more than an
//! error, and all that it was asked is answered once it is gone.

#![no_main]

use std::{
    future::{self, Future},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use octa_fuzz::{Numbers, Peer, Script, to_kernel};
use octa_loader::{
    BoxFuture, ContentHash, CreateOptions, Envelope, EventParts, EventView, Generation, Host,
    Instance, Link, LogLine, Manifest, Outcome, Request, Staged, Started, Submitted, Terms, Worker,
};
use octa_plugin_api::{Error, ErrorKind, Payload};
use octa_wire::{Answer, ToKernel, ToWorker};

const RING_BYTES: [usize; 2] = [4096, 65_536];
const MANIFEST: &str = r#"{
    "manifest": "1.0", "name": "played", "version": "1.0.0",
    "description": "", "license": "MIT",
    "abi": { "major": 1, "minor": 0, "fingerprint": "00ff00ff00ff00ff" },
    "compiler": "rustc 1.95.0", "panic": "unwind", "target": "x86_64-unknown-linux-gnu",
    "capabilities": [{ "name": "played.act", "description": "" }],
    "subscriptions": [{ "pattern": "played.*", "description": "" }]
}"#;
/// What the worker guesses of what it may say.
const NUMBERS: Numbers = Numbers {
    ids: 24,
    instances: 2,
    handlers: 1,
};

/// Work that the kernel waits for.
type Awaited = Pin<Box<dyn Future<Output = Outcome>>>;

/// A host that does what its operations are called, and runs nothing by itself.
#[derive(Default)]
struct House {
    driven: Mutex<Vec<BoxFuture<()>>>,
    /// What waits for it may go on.
    is_open: Arc<AtomicBool>,
}

impl Host for House {
    fn submit(&self, request: &Request<'_>, _: &mut Context<'_>) -> Submitted {
        let outcome = Outcome::ok(request.number, request.payload.clone());
        let is_open = self.is_open.clone();
        match request.operation % 8 {
            0 => Submitted::Ready(Error::new(ErrorKind::Denied, request.target.to_owned()).into()),
            1 => Submitted::New(Box::pin(future::pending())),
            2 | 3 => Submitted::New(Box::pin(future::poll_fn(move |_| {
                match is_open.load(Ordering::Relaxed) {
                    true => Poll::Ready(outcome.clone()),
                    false => Poll::Pending,
                }
            }))),
            _ => Submitted::Ready(outcome),
        }
    }

    fn drive(&self, future: BoxFuture<()>) {
        self.driven.lock().expect("nobody panics").push(future);
    }

    fn run_task(&self, task: BoxFuture<()>) {
        self.drive(task);
    }

    fn log(&self, _: &LogLine<'_>) {}
}

struct Said(Payload);

impl EventView for Said {
    fn view(&self) -> EventParts<'_> {
        EventParts {
            id: 1,
            sequence: 1,
            time: 1,
            correlation: 1,
            attempt: 0,
            content_type: 0,
            topic: "played.said",
            source: "fuzz",
            payload: &self.0,
        }
    }
}

struct Scene {
    worker: Worker,
    peer: Peer,
    house: Arc<House>,
    instance: Instance,
    awaited: Vec<Awaited>,
    is_there: bool,
    /// What the kernel wrote may be what the worker wrote over it.
    is_scribbled: bool,
}

impl Scene {
    fn new(ring_bytes: usize) -> Self {
        let (ours, end) = Link::pair(ring_bytes).expect("the system gives a pair of ends");
        let peer = Peer::new(end).expect("the end is one");
        peer.link.use_rings();
        ours.use_rings();
        let worker = Worker::played(ours);
        let house = Arc::<House>::default();
        let instance = thread::scope(|scope| {
            let good = scope.spawn(|| be_good(&peer, &worker, 2));
            let instance = move_in(&worker, house.clone());
            // Else it may be about to end, still, when what is leaked is looked for.
            good.join().expect("it is good");
            instance
        });
        instance.open();
        Self {
            worker,
            peer,
            house,
            instance,
            awaited: Vec::new(),
            is_there: true,
            is_scribbled: false,
        }
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        match step % 24 {
            0..=2 => self.call(script),
            3 => self.deliver(script),
            4 => self.control(script),
            5..=11 => self.say(script),
            12 => self.say_wrongly(script),
            13 => self.scribble(script),
            14 => self.peer.write(script.bytes()),
            15..=17 => self.hear(),
            18 => self.poll_one(script),
            19 => self.give_up(script),
            20 => self.run(),
            21 => drop(self.instance.interrupt(Duration::ZERO)),
            22 => self.house.is_open.store(script.flag(), Ordering::Relaxed),
            _ => self.listen(),
        }
    }

    fn call(&mut self, script: &mut Script<'_>) {
        let terms = Terms {
            remaining: Duration::from_nanos(script.number()),
            correlation: 1,
            chain: "fuzz",
        };
        let (envelope, payload) = (
            Envelope::of("fuzz"),
            Payload::copy_from_slice(script.bytes()),
        );
        let mut cx = Context::from_waker(Waker::noop());
        let started = self.instance.call(0, &envelope, &terms, &payload, &mut cx);
        self.keep(started);
    }

    fn deliver(&mut self, script: &mut Script<'_>) {
        let event = |_| Said(Payload::copy_from_slice(b"1"));
        let events = (0..script.below(4)).map(event).collect();
        let handled = Arc::new(AtomicUsize::new(0));
        let mut cx = Context::from_waker(Waker::noop());
        let started = self.instance.deliver(0, events, &handled, &mut cx);
        self.keep(started);
    }

    fn keep(&mut self, started: Started) {
        if let Started::Pending(work) = started {
            self.awaited.push(Box::pin(work));
        }
    }

    fn control(&mut self, script: &mut Script<'_>) {
        let (what, number) = (script.below(10).into(), script.number());
        let (instance, payload) = (self.instance.clone(), Payload::copy_from_slice(b"{}"));
        let mut answer: Awaited =
            Box::pin(async move { instance.control(what, number, payload).await });
        if poll(&mut answer).is_pending() {
            self.awaited.push(answer);
        }
    }

    fn say(&self, script: &mut Script<'_>) {
        let mut frame = Vec::new();
        to_kernel(script, NUMBERS).encode(&mut frame);
        // It may be closed.
        let _ = self.peer.link.send(&frame);
    }

    /// A message with one byte that is another, and of another length.
    fn say_wrongly(&self, script: &mut Script<'_>) {
        let mut frame = Vec::new();
        to_kernel(script, NUMBERS).encode(&mut frame);
        frame.truncate(frame.len() - usize::from(script.byte()) % (frame.len() - 4));
        let at = 4 + usize::from(script.short()) % (frame.len() - 4);
        frame[at] = script.byte();
        let length = u32::try_from(frame.len() - 4).expect("it is small");
        frame[..4].copy_from_slice(&length.to_le_bytes());
        // It may be closed.
        let _ = self.peer.link.send(&frame);
    }

    fn scribble(&mut self, script: &mut Script<'_>) {
        self.is_scribbled = true;
        self.peer.scribble(script);
    }

    fn hear(&mut self) {
        if self.is_there && !self.worker.hear() {
            self.worker.vanish();
            self.is_there = false;
        }
    }

    /// What the kernel says is always to be understood.
    fn listen(&self) {
        let mut receiving = self.peer.link.receive();
        while let Ok(Some(frame)) = receiving.next() {
            let said = ToWorker::decode(frame);
            assert!(
                said.is_ok() || self.is_scribbled,
                "the kernel keeps to the protocol: {said:?}"
            );
        }
    }

    fn poll_one(&mut self, script: &mut Script<'_>) {
        let Some(at) = self.one(script) else {
            return;
        };
        if poll(&mut self.awaited[at]).is_ready() {
            drop(self.awaited.swap_remove(at));
        }
    }

    fn give_up(&mut self, script: &mut Script<'_>) {
        if let Some(at) = self.one(script) {
            drop(self.awaited.swap_remove(at));
        }
    }

    fn one(&self, script: &mut Script<'_>) -> Option<usize> {
        usize::from(script.byte()).checked_rem(self.awaited.len())
    }

    /// Goes on with what the host was given.
    fn run(&self) {
        let mut driven = std::mem::take(&mut *self.house.driven.lock().expect("nobody panics"));
        driven.retain_mut(|future| poll(future).is_pending());
        self.house
            .driven
            .lock()
            .expect("nobody panics")
            .append(&mut driven);
    }

    fn end(mut self) {
        self.worker.vanish();
        for awaited in &mut self.awaited {
            assert!(poll(awaited).is_ready(), "who is gone owes no answer");
        }
        self.run();
        self.awaited.clear();
        self.instance.interrupt(Duration::ZERO);
        self.house.driven.lock().expect("nobody panics").clear();
        self.instance.close();
        assert_eq!(self.instance.in_flight(), 0, "nobody is inside");
        assert!(self.instance.destroy(), "nobody uses it");
    }
}

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// A library and an instance of it, which the worker must be there to make.
fn move_in(worker: &Worker, house: Arc<House>) -> Instance {
    let manifest = Manifest::from_json(MANIFEST.as_bytes()).expect("the manifest is one");
    let staged = Staged::made_elsewhere("/nowhere".into(), ContentHash::of(b""));
    let generation: Arc<Generation> = worker
        .open(&staged, Arc::new(manifest))
        .expect("the worker is good");
    let options = CreateOptions {
        config: Payload::copy_from_slice(b"{}"),
        log_level: log::LevelFilter::Info,
    };
    Instance::create(&generation, house, &options).expect("the worker is good")
}

/// Answers so many messages as they are to be answered.
fn be_good(peer: &Peer, worker: &Worker, mut messages: usize) {
    while messages > 0 {
        peer.link
            .park(Some(Duration::from_secs(10)))
            .expect("the kernel is there");
        let mut receiving = peer.link.receive();
        while let Some(frame) = receiving.next().expect("the kernel is there") {
            let (ToWorker::Open { id, .. } | ToWorker::Create { id, .. }) =
                ToWorker::decode(frame).expect("the kernel keeps to the protocol")
            else {
                panic!("nothing else is asked yet");
            };
            let mut frame = Vec::new();
            let answer = Answer::default();
            ToKernel::Answer { id, answer }.encode(&mut frame);
            peer.link.send(&frame).expect("the kernel is there");
            messages -= 1;
        }
        drop(receiving);
        assert!(worker.hear(), "the worker is good");
    }
}

fuzz_target!(|input: &[u8]| {
    let mut script = Script::new(input);
    let mut scene = Scene::new(RING_BYTES[usize::from(script.below(2))]);
    while let Some(step) = script.step() {
        scene.step(step, &mut script);
    }
    scene.hear();
    scene.end();
});
