//! The switch while other threads of the plugin and of others are at work.

use std::{
    collections::HashMap,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::*;

const THREADS: u64 = 4;
const EVENTS: u64 = 900;

#[test]
fn what_is_published_at_the_switch_keeps_its_order() {
    for _ in 0..20 {
        let bench = Bench::new();
        let mut listener = bench.subscribe(|it| it);
        let lamp = bench.on_trial();
        let switch = Barrier::new(THREADS as usize + 1);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (lamp, switch) = (&lamp, &switch);
                scope.spawn(move || {
                    for what in 0..EVENTS {
                        if what == EVENTS / 2 {
                            switch.wait();
                        }
                        publish(lamp, "lamp.on", thread * EVENTS + what).expect("it publishes");
                    }
                });
            }
            switch.wait();
            lamp.release(None);
        });
        let mut lists: HashMap<u64, Vec<u64>> = HashMap::new();
        for what in received(&mut listener) {
            lists.entry(what / EVENTS).or_default().push(what % EVENTS);
        }
        let whole: Vec<u64> = (0..EVENTS).collect();
        assert_eq!(lists.len() as u64, THREADS);
        assert!(lists.values().all(|list| *list == whole), "{lists:?}");
        assert_eq!(lamp.holdings(), Holdings::default());
    }
}

#[test]
fn what_is_spawned_or_subscribed_at_the_switch_is_not_forgotten() {
    for _ in 0..20 {
        let bench = Bench::new();
        let lamp = bench.on_trial();
        let switch = Barrier::new(2);
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                for what in 0..200 {
                    if what == 20 {
                        switch.wait();
                    }
                    subscribe(&lamp, "lamp.on").expect("a number");
                    lamp.run_task(telling(tell.clone()));
                }
            });
            switch.wait();
            lamp.release(None);
        });
        bench.settle();
        drop(tell);
        assert_eq!(told.iter().count(), 200);
        assert_eq!(lamp.holdings().subscriptions, 200);
        assert_eq!(bench.commons.bus.subscriptions().len(), 200);
    }
}

#[test]
fn no_event_is_lost_or_seen_twice_where_a_queue_moves() {
    for _ in 0..20 {
        let bench = Bench::new();
        let publisher = bench.serving();
        let (old, new) = (bench.serving(), bench.on_trial());
        let theirs = subscribe(&old, "lamp.on").expect("a number");
        let ours = subscribe(&new, "lamp.on").expect("a number");
        let done = AtomicBool::new(false);
        let receive = |generation: &Facilities, number| {
            let mut seen = Vec::new();
            loop {
                // Looked at first: what was published before is there then.
                let last = done.load(Ordering::SeqCst);
                match next(generation, number).map(|mut next| is_ready(&mut next)) {
                    Ok(Some(Outcome {
                        result: Ok(event), ..
                    })) => seen.push(value(&event)),
                    Ok(None) if !last => thread::yield_now(),
                    _ => return seen,
                }
            }
        };
        let (mut before, after) = thread::scope(|scope| {
            let before = scope.spawn(|| receive(&old, theirs));
            let after = scope.spawn(|| receive(&new, ours));
            for what in 0..EVENTS {
                publish(&publisher, "lamp.on", what).expect("it publishes");
                if what == EVENTS / 2 {
                    new.release(Some(&old));
                }
            }
            done.store(true, Ordering::SeqCst);
            (
                before.join().expect("no panic"),
                after.join().expect("no panic"),
            )
        });
        before.extend(after);
        assert_eq!(before, (0..EVENTS).collect::<Vec<_>>());
    }
}
