//! The intake: a call that was turned away goes by what `again` says of it, while its provider is
//! replaced in the order that the intake asks for.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use loom::{future::block_on, thread};

use crate::{
    gate::Gate,
    intake::Intake,
    sync::{AtomicUsize, Notify, Ordering::SeqCst},
};

/// A capability whose provider is replaced, by its number.
#[derive(Default)]
struct Route {
    gates: [Gate; 2],
    serving: AtomicUsize,
    changed: Arc<Notify>,
    intake: Intake,
}

impl Route {
    fn new() -> Arc<Self> {
        let route = Self::default();
        route.gates[0].open();
        Arc::new(route)
    }

    /// As `Services` does: asked for signals before anything is looked at, tries, and looks again.
    fn call(&self) -> Result<(), ()> {
        loop {
            let mut changed = pin!(self.changed.clone().notified_owned());
            let serving = self.serving.load(SeqCst);
            let mut resumed = pin!(self.intake.next_resumption());
            let moment = self.intake.look();
            if let Some(inside) = self.gates[serving].enter() {
                self.gates[serving].leave(inside);
                return Ok(());
            }
            if self.serving.load(SeqCst) != serving || self.intake.look() != moment {
                continue;
            }
            if !moment.is_paused() {
                return Err(());
            }
            block_on(poll_fn(|cx| {
                let is_ready = changed.as_mut().poll(cx).is_ready();
                if is_ready || resumed.as_mut().poll(cx).is_ready() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }));
        }
    }

    fn close(&self) {
        self.intake.pause();
        self.gates[0].close();
    }

    fn register_next(&self) {
        self.gates[1].open();
        self.serving.fetch_add(1, SeqCst);
        self.changed.notify_waiters();
    }
}

pub(super) fn replaces() {
    let route = Route::new();
    let caller = {
        let route = route.clone();
        thread::spawn(move || route.call())
    };
    route.close();
    route.register_next();
    route.intake.resume();
    let called = caller.join().expect("it ends");
    assert!(called.is_ok(), "there was a provider all the time");
}

pub(super) fn gives_up() {
    let route = Route::new();
    let caller = {
        let route = route.clone();
        thread::spawn(move || route.call())
    };
    route.close();
    route.intake.resume();
    assert!(!route.intake.is_paused());
    // Whatever it found, it does not wait for ever.
    _ = caller.join().expect("it ends");
    assert!(route.call().is_err(), "nobody is there");
}
