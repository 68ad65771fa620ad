//! Events: handing one to its subscribers, and until eight handlers have finished.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use anyhow::{Result, ensure};
use octa_kernel::{Kernel, Payload};
use tokio::sync::mpsc::{self, Sender};

use crate::{
    fanout::{BYTES, Channels, ROOM, Subscribers},
    host::Host,
    measure::{ready, timed},
    report::{Goal, Report, Subject},
};

/// How many handlers the plugin has for an event.
const HANDLERS: usize = 8;

const PUBLISH: [(usize, Subject); 3] = [
    (
        1,
        Subject {
            what: "publish to 1 subscriber, nothing lost",
            floor: "1 send of an `Arc<[u8]>` on a bounded tokio channel",
            goal: Goal::Told,
        },
    ),
    (
        8,
        Subject {
            what: "publish to 8 subscribers, nothing lost",
            floor: "8 sends of an `Arc<[u8]>` on bounded tokio channels",
            goal: Goal::AtMost(1.0),
        },
    ),
    (
        100,
        Subject {
            what: "publish to 100 subscribers, nothing lost",
            floor: "100 sends of an `Arc<[u8]>` on bounded tokio channels",
            goal: Goal::Told,
        },
    ),
];
const HANDLE: Subject = Subject {
    what: "publish until all 8 handlers finished, one event at a time",
    floor: "the same with 8 tokio tasks",
    goal: Goal::AtMost(1.5),
};
const HANDLE_BURST: Subject = Subject {
    what: "publish until all 8 handlers finished, 256 events at a time",
    floor: "the same with 8 tokio tasks",
    goal: Goal::AtMost(1.5),
};
const BURST: u64 = 256;

pub(crate) fn measure(host: &Host, report: &mut Report) -> Result<()> {
    publish(&host.kernel, report)?;
    let tasks = Tasks::spawn(host);
    let handlers = Handlers::new(&host.kernel)?;
    report.row(
        HANDLE,
        report.pace().in_turns_longer(2),
        &mut |count| timed(count, || tasks.handle(1)),
        &mut |count| timed(count, || handlers.handle(1)),
    );
    let mut floor = |count: u64| timed(count, || tasks.handle(BURST));
    let mut ours = |count: u64| timed(count, || handlers.handle(BURST));
    report.row(
        HANDLE_BURST,
        report.pace().in_turns_longer(2),
        &mut floor,
        &mut ours,
    );
    Ok(())
}

fn publish(kernel: &Kernel, report: &mut Report) -> Result<()> {
    for (count, subject) in PUBLISH {
        let mut subscribers = Subscribers::new(kernel, count)?;
        let mut channels = Channels::new(count);
        report.row(
            subject,
            report.pace().in_fewer_turns(2),
            &mut |count| channels.send(count),
            &mut |count| subscribers.publish(count),
        );
        ensure!(subscribers.dropped() == 0, "events were lost");
    }
    Ok(())
}

/// Eight tasks that count what they receive.
struct Tasks {
    senders: Vec<Sender<Arc<[u8]>>>,
    handled: Arc<AtomicU64>,
    bytes: Arc<[u8]>,
}

impl Tasks {
    fn spawn(host: &Host) -> Self {
        let handled = Arc::new(AtomicU64::new(0));
        let task = || {
            let (sender, mut receiver) = mpsc::channel(ROOM);
            let handled = handled.clone();
            host.runtime.spawn(async move {
                while let Some(bytes) = receiver.recv().await {
                    drop(black_box::<Arc<[u8]>>(bytes));
                    handled.fetch_add(1, Ordering::Release);
                }
            });
            sender
        };
        Self {
            senders: (0..HANDLERS).map(|_| task()).collect(),
            handled: handled.clone(),
            bytes: BYTES.into(),
        }
    }

    fn handle(&self, events: u64) {
        let end = self.handled.load(Ordering::Acquire) + events * HANDLERS as u64;
        for _ in 0..events {
            for sender in &self.senders {
                ready(sender.send(self.bytes.clone())).expect("the task is there");
            }
        }
        while self.handled.load(Ordering::Acquire) < end {
            thread::yield_now();
        }
    }
}

/// The eight subscriptions of the plugin.
struct Handlers {
    kernel: Kernel,
    handled: octa_kernel::Capability,
    bytes: Payload,
}

impl Handlers {
    fn new(kernel: &Kernel) -> Result<Self> {
        Ok(Self {
            kernel: kernel.clone(),
            handled: kernel.capability("bench.handled")?,
            bytes: Payload::copy_from_slice(&BYTES),
        })
    }

    fn handled(&self) -> u64 {
        let answer = ready(self.handled.call(&Payload::empty())).expect("the plugin is started");
        u64::from_le_bytes((*answer).try_into().expect("eight bytes"))
    }

    fn handle(&self, events: u64) {
        let end = self.handled() + events * HANDLERS as u64;
        for _ in 0..events {
            let matched = ready(self.kernel.publish("bench.event", &self.bytes));
            assert_eq!(matched.expect("a good topic"), HANDLERS);
        }
        while self.handled() < end {
            thread::yield_now();
        }
    }
}
