//! One event to several receivers that have room for it: subscriptions of a kernel, and the floor.
//! What is received is taken out again while nobody measures.

use std::{hint::black_box, sync::Arc, time::Duration};

use anyhow::Result;
use octa_kernel::{Kernel, Payload, bus::Subscription};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::measure::{ready, timed};

/// How many events a receiver has room for, with the kernel and with the floor.
pub(crate) const ROOM: usize = 1024;
/// What is sent.
pub(crate) const BYTES: [u8; 64] = [b'x'; 64];

/// Subscriptions of the host that all match.
pub(crate) struct Subscribers {
    kernel: Kernel,
    subscriptions: Vec<Subscription>,
}

impl Subscribers {
    pub(crate) fn new(kernel: &Kernel, count: usize) -> Result<Self> {
        let subscriptions = (0..count).map(|_| ready(kernel.subscribe("room.*")));
        Ok(Self {
            kernel: kernel.clone(),
            subscriptions: subscriptions.collect::<Result<_, _>>()?,
        })
    }

    pub(crate) fn publish(&mut self, count: u64) -> Duration {
        in_batches(count, |count| {
            let bytes = Payload::copy_from_slice(&BYTES);
            let took = timed(count, || {
                let matched = ready(self.kernel.publish("room.bench", black_box(&bytes)));
                assert_eq!(matched.expect("a good topic"), self.subscriptions.len());
            });
            empty(&mut self.subscriptions);
            took
        })
    }

    pub(crate) fn dropped(&self) -> u64 {
        let dropped = self.subscriptions.iter().map(|it| it.counters().dropped);
        dropped.sum()
    }
}

/// The floor: bounded channels of tokio.
pub(crate) struct Channels(Vec<Channel>);

type Channel = (Sender<Arc<[u8]>>, Receiver<Arc<[u8]>>);

impl Channels {
    pub(crate) fn new(count: usize) -> Self {
        Self((0..count).map(|_| mpsc::channel(ROOM)).collect())
    }

    pub(crate) fn send(&mut self, count: u64) -> Duration {
        in_batches(count, |count| {
            let bytes: Arc<[u8]> = BYTES.into();
            let took = timed(count, || {
                for (sender, _) in &self.0 {
                    ready(sender.send(black_box(&bytes).clone())).expect("the receiver is there");
                }
            });
            for (_, receiver) in &mut self.0 {
                while receiver.try_recv().is_ok() {}
            }
            took
        })
    }
}

/// Takes out what was received.
pub(crate) fn empty(subscriptions: &mut [Subscription]) {
    for subscription in subscriptions {
        while subscription.try_recv().is_some() {}
    }
}

/// So many at a time as there is room for; only what `batch` measures counts.
pub(crate) fn in_batches(mut count: u64, mut batch: impl FnMut(u64) -> Duration) -> Duration {
    let mut took = Duration::ZERO;
    while count > 0 {
        let now = count.min(ROOM as u64);
        took += batch(now);
        count -= now;
    }
    took
}
