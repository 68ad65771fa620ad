//! In which order events are begun where several are handled at once.

use std::{
    pin::Pin,
    sync::{Arc, mpsc as blocking},
    task::{Context, Poll, Waker},
};

use octa_loader::{BoxFuture, Subscription as Declared};
use octa_plugin_api::Result;
use parking_lot::Mutex;
use tokio::sync::{OnceCell, mpsc, watch};

use super::{
    super::{
        Lanes,
        lane::{Lane, Place},
    },
    shop::{Desk, Shop, WAITS, declared, within},
};

const LANES: u32 = 4;

/// Who is told of each event that is begun.
struct Begun<F>(F);

impl<F: Fn(u32) + Send + Sync + 'static> Desk for Begun<F> {
    fn ask(&self, number: u32, _: u32) -> BoxFuture<Result<()>> {
        self.0(number);
        Box::pin(async { Ok(()) })
    }

    fn done(&self, _: u32) {}
}

fn concurrent(capacity: u32) -> Declared {
    let mut declared = declared(WAITS);
    (declared.concurrency, declared.capacity) = (LANES, capacity);
    declared
}

#[test]
fn none_is_begun_while_one_before_it_enters_its_handler() {
    let shop = Shop::new();
    let declared = concurrent(8);
    let mailbox = shop.mailbox(&declared);
    let (other, begun) = (
        Arc::<Mutex<Option<BoxFuture<()>>>>::default(),
        Arc::<Mutex<Vec<u32>>>::default(),
    );
    let (beside, seen) = (other.clone(), begun.clone());
    let instance = shop.instance(Begun(move |number| {
        let beside = beside.lock().take();
        if let Some(mut lane) = beside {
            assert!(poll(&mut lane).is_pending());
        }
        seen.lock().push(number);
    }));
    let deliveries = shop.deliveries(&instance, WAITS, &declared);
    let (here, _) = watch::channel(());
    let (_leave, told) = watch::channel(false);
    let turn = Arc::<OnceCell<_>>::default();
    let [mut first, mut second] = [(); 2].map(|()| {
        let place = Place {
            taking: None,
            _turn: turn.clone(),
            _here: here.subscribe(),
        };
        let lane = Arc::new(Lane::new(mailbox.clone(), deliveries.clone(), place));
        let run: BoxFuture<()> = Box::pin(lane.run(turn.clone(), told.clone()));
        run
    });
    assert!(poll(&mut first).is_pending());
    assert!(poll(&mut second).is_pending());
    shop.publish(0..2);
    *other.lock() = Some(second);
    assert!(poll(&mut first).is_pending());
    assert_eq!(begun.lock().first(), Some(&0), "a later one overtook it");
}

fn poll(lane: &mut BoxFuture<()>) -> Poll<()> {
    Pin::new(lane).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn events_are_begun_in_order() {
    const EVENTS: u32 = 50_000;
    let shop = Shop::new();
    let declared = concurrent(EVENTS);
    let mailbox = shop.mailbox(&declared);
    let (tell, mut begun) = mpsc::unbounded_channel();
    let instance = shop.instance(Begun(move |number| {
        let _ = tell.send(number);
    }));
    let deliveries = shop.deliveries(&instance, WAITS, &declared);
    shop.publish(0..EVENTS);
    let lanes = Lanes::begin(vec![(mailbox, deliveries)], &shop.pool);
    for number in 0..EVENTS {
        assert_eq!(within(begun.recv()).await, Some(number));
    }
    lanes.leave();
    within(lanes.gone()).await;
}

#[tokio::test]
async fn who_is_cut_off_as_it_begins_keeps_nobody_from_taking() {
    let mut shop = Shop::new();
    let declared = concurrent(8);
    let mailbox = shop.mailbox(&declared);
    let (tell, mut begun) = mpsc::unbounded_channel();
    let (let_go, blocks) = blocking::channel::<()>();
    let blocks = Mutex::new(Some(blocks));
    let instance = shop.instance(Begun(move |number| {
        let _ = tell.send(number);
        let blocks = blocks.lock().take();
        if let Some(blocks) = blocks {
            // Until the test ends.
            let _ = blocks.recv();
        }
    }));
    let begin = || {
        let deliveries = shop.deliveries(&instance, WAITS, &declared);
        Lanes::begin(vec![(mailbox.clone(), deliveries)], &shop.pool)
    };
    let old = begin();
    shop.publish(0..3);
    assert_eq!(within(begun.recv()).await, Some(0));
    old.cut_off();
    within(old.gone()).await;
    let new = begin();
    for number in 1..3 {
        assert_eq!(within(begun.recv()).await, Some(number));
    }
    assert_eq!(shop.next_dead().await, "0 interrupted");
    new.leave();
    drop(let_go);
    within(new.gone()).await;
}
