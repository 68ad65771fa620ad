//! Events: handing one to eight subscribers, and until eight handlers have finished.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};
use octa_kernel::{Kernel, Payload, bus::Subscription};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::{
    host::Host,
    measure::{ready, timed},
    report::{Goal, Report, Subject},
};

const SUBSCRIBERS: usize = 8;
/// How many events a subscriber has room for, with the kernel and with the floor.
const ROOM: usize = 1024;
const BYTES: [u8; 64] = [b'x'; 64];

const PUBLISH: Subject = Subject {
    what: "publish to 8 subscribers, nothing lost",
    floor: "8 sends of an `Arc<[u8]>` on bounded tokio channels",
    goal: Goal::AtMost(1.0),
};
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
    let mut subscriptions = Vec::new();
    for _ in 0..SUBSCRIBERS {
        subscriptions.push(ready(kernel.subscribe("room.*"))?);
    }
    let mut channels: Vec<_> = (0..SUBSCRIBERS).map(|_| mpsc::channel(ROOM)).collect();
    report.row(
        PUBLISH,
        report.pace(),
        &mut |count| in_batches(count, |count| sends(&mut channels, count)),
        &mut |count| in_batches(count, |count| publishes(kernel, &mut subscriptions, count)),
    );
    let dropped = subscriptions.iter().map(|it| it.counters().dropped);
    ensure!(dropped.sum::<u64>() == 0, "events were lost");
    Ok(())
}

/// So many at a time as there is room for; only what `batch` measures counts.
fn in_batches(mut count: u64, mut batch: impl FnMut(u64) -> Duration) -> Duration {
    let mut took = Duration::ZERO;
    while count > 0 {
        let now = count.min(ROOM as u64);
        took += batch(now);
        count -= now;
    }
    took
}

type Channel = (Sender<Arc<[u8]>>, Receiver<Arc<[u8]>>);

fn sends(channels: &mut [Channel], count: u64) -> Duration {
    let bytes: Arc<[u8]> = BYTES.into();
    let took = timed(count, || {
        for (sender, _) in &mut *channels {
            ready(sender.send(black_box(&bytes).clone())).expect("the receiver is there");
        }
    });
    for (_, receiver) in channels {
        while receiver.try_recv().is_ok() {}
    }
    took
}

fn publishes(kernel: &Kernel, subscriptions: &mut [Subscription], count: u64) -> Duration {
    let bytes = Payload::copy_from_slice(&BYTES);
    let took = timed(count, || {
        let matched = ready(kernel.publish("room.bench", black_box(&bytes)));
        assert_eq!(matched.expect("a good topic"), SUBSCRIBERS);
    });
    for subscription in subscriptions {
        while subscription.try_recv().is_some() {}
    }
    took
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
            senders: (0..SUBSCRIBERS).map(|_| task()).collect(),
            handled: handled.clone(),
            bytes: BYTES.into(),
        }
    }

    fn handle(&self, events: u64) {
        let end = self.handled.load(Ordering::Acquire) + events * SUBSCRIBERS as u64;
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
        let end = self.handled() + events * SUBSCRIBERS as u64;
        for _ in 0..events {
            let matched = ready(self.kernel.publish("bench.event", &self.bytes));
            assert_eq!(matched.expect("a good topic"), SUBSCRIBERS);
        }
        while self.handled() < end {
            thread::yield_now();
        }
    }
}
