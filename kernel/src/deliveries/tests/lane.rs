//! One lane, polled by hand: what it does when it is told to leave at an unlucky moment.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use octa_plugin_api::Error;
use tokio::sync::{OnceCell, watch};

use super::{
    super::lane::{Lane, Place},
    shop::{Bench, WAITS},
};
use crate::bus::Held;

struct Alone {
    bench: Bench,
    lane: Arc<Lane>,
    leave: watch::Sender<bool>,
    told: watch::Receiver<bool>,
    here: watch::Sender<()>,
}

impl Alone {
    fn new() -> Self {
        let bench = Bench::new(WAITS, |_| ());
        let deliveries = bench.deliveries(&bench.instance(1));
        let (here, receiver) = watch::channel(());
        let place = Place {
            taking: None,
            _turn: Arc::default(),
            _here: receiver,
        };
        let (leave, told) = watch::channel(false);
        Self {
            lane: Arc::new(Lane::new(bench.mailbox.clone(), deliveries, place)),
            bench,
            leave,
            told,
            here,
        }
    }

    /// So many events, taken from the mailbox.
    fn take(&self, count: u32) -> Vec<Held> {
        self.bench.shop.publish(0..count);
        let mut batch = Vec::new();
        let taken = self.bench.mailbox.poll_take(&mut cx(), &mut batch, 64);
        assert_eq!(taken, Poll::Ready(count as usize));
        batch
    }

    fn queued(&self) -> usize {
        self.bench.mailbox.handle().counters().queued
    }
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn what_comes_after_the_leave_is_not_taken() {
    let mut alone = Alone::new();
    let turn = Arc::new(OnceCell::new());
    let mut run = pin!(alone.lane.clone().run(turn, alone.told.clone()));
    assert!(run.as_mut().poll(&mut cx()).is_pending());
    alone.leave.send_replace(true);
    alone.bench.shop.publish(0..1);
    assert!(run.poll(&mut cx()).is_ready());
    assert_eq!(alone.queued(), 1);
    assert!(!alone.bench.asks());
}

#[test]
fn a_batch_that_was_taken_is_not_begun_after_the_leave() {
    let mut alone = Alone::new();
    let mut batch = alone.take(2);
    alone.leave.send_replace(true);
    let ended = pin!(alone.lane.deliver_all(&mut batch, &alone.told)).poll(&mut cx());
    assert_eq!(ended, Poll::Ready(false));
    assert_eq!(alone.queued(), 2);
    assert!(!alone.bench.asks());
}

#[test]
fn a_single_event_that_was_taken_is_begun() {
    let mut alone = Alone::new();
    let mut batch = alone.take(1);
    alone.leave.send_replace(true);
    let ended = pin!(alone.lane.deliver_all(&mut batch, &alone.told)).poll(&mut cx());
    assert!(ended.is_pending());
    assert!(alone.bench.asks());
}

#[test]
fn a_lane_without_a_batch_is_not_cut_off() {
    let mut alone = Alone::new();
    let mut batch = alone.take(1);
    alone.lane.cut_off();
    assert_eq!(alone.here.receiver_count(), 1);
    let mut delivered = pin!(alone.lane.deliver_all(&mut batch, &alone.told));
    assert!(delivered.as_mut().poll(&mut cx()).is_pending());
    assert!(alone.bench.asks());
    alone.lane.cut_off();
    assert_eq!(alone.here.receiver_count(), 0);
}

/// What is left of a batch of three.
#[track_caller]
fn check_settle(handled: usize, result: Result<(), Error>, ends: bool, left: &[u64]) {
    let alone = Alone::new();
    let mut batch = alone.take(3);
    alone.lane.settle(&mut batch, handled, result, ends);
    let found = batch.iter().map(|held| held.event.sequence);
    assert_eq!(found.collect::<Vec<_>>(), left);
}

#[test]
fn a_batch_is_settled_as_the_plugin_says() {
    let failure = || Err(Error::msg("on purpose"));
    check_settle(3, Ok(()), false, &[]);
    check_settle(1, Ok(()), true, &[2, 3]);
    check_settle(1, failure(), false, &[3]);
    check_settle(0, failure(), true, &[2, 3]);
    // A plugin that does not count.
    check_settle(1, Ok(()), false, &[]);
    check_settle(9, Ok(()), true, &[]);
    check_settle(3, failure(), false, &[]);
}
