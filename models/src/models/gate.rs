//! The gate: calls go in and out while somebody closes it and waits for it to be empty.

use std::{future::poll_fn, sync::Arc};

use loom::{future::block_on, thread};

use crate::{
    gate::Gate,
    shard::use_shard,
    sync::{AtomicUsize, Ordering::Relaxed},
};

/// A gate and what is done behind it, without any order of its own.
#[derive(Default)]
struct House {
    gate: Gate,
    deeds: AtomicUsize,
}

impl House {
    fn open() -> Arc<Self> {
        let house = Self::default();
        house.gate.open();
        Arc::new(house)
    }

    /// Goes in if it is open; whether it was.
    fn visit(&self, shard: usize) -> bool {
        use_shard(shard);
        let Some(inside) = self.gate.enter() else {
            return false;
        };
        self.deeds.fetch_add(1, Relaxed);
        self.gate.leave(inside);
        true
    }

    /// What was done when nobody was inside any more.
    fn close(&self) -> usize {
        self.gate.close();
        block_on(poll_fn(|cx| self.gate.poll_empty(cx.waker())));
        self.deeds.load(Relaxed)
    }
}

pub(super) fn closes() {
    let house = House::open();
    let visitors = [0, 1].map(|shard| {
        let house = house.clone();
        thread::spawn(move || house.visit(shard))
    });
    let deeds = house.close();
    assert!(house.gate.enter().is_none(), "it is closed");
    assert!(house.gate.follow().is_none(), "it was seen empty");
    house.gate.end();
    house.gate.open();
    assert!(house.gate.enter().is_none(), "it was closed for good");
    let visits = visitors.map(|visitor| visitor.join().expect("it ends"));
    assert_eq!(deeds, visits.into_iter().filter(|entered| *entered).count());
}

pub(super) fn follows() {
    let house = House::open();
    // Counted after what the follower is counted with.
    use_shard(1);
    let inside = house.gate.enter().expect("it is open");
    let caller = {
        let house = house.clone();
        thread::spawn(move || {
            use_shard(0);
            let follower = house.gate.follow().expect("who sent it is inside");
            house.gate.leave(inside);
            house.deeds.fetch_add(1, Relaxed);
            house.gate.leave(follower);
        })
    };
    assert_eq!(house.close(), 1);
    assert!(house.gate.follow().is_none(), "it was seen empty");
    caller.join().expect("it ends");
}

pub(super) fn reopens() {
    let house = House::open();
    let visitor = {
        let house = house.clone();
        thread::spawn(move || [house.visit(1), house.visit(0)])
    };
    house.gate.close();
    house.gate.open();
    let deeds = house.close();
    let visits = visitor.join().expect("it ends");
    assert_eq!(deeds, visits.into_iter().filter(|entered| *entered).count());
}
