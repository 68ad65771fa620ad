//! What the thread that leads does: hears the kernel, runs what was woken, and sleeps when there is
//! nothing of either.

use std::{
    mem,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use octa_loader::Parked;

use crate::{
    failure::{Failure, exit_now},
    turn::Turn,
    worker::{KEPT_BYTES, Worker},
};

/// How long it looks for a message before it sleeps.
const LOOK: Duration = Duration::from_micros(50);
/// How often it looks at what was woken meanwhile.
const GLANCE: Duration = Duration::from_micros(2);
/// It looks only if the last message came within that time: then the next one may, too.
const RECENT: Duration = Duration::from_micros(200);
/// After so many things without a pause it makes sure that the kernel is still there.
const STRETCH: u32 = 4096;

impl Worker {
    /// Leads until another thread does.
    pub(crate) fn lead(&'static self, turn: &Turn) {
        let mut frame = Vec::new();
        let mut is_busy = true;
        let mut stretch = 0;
        loop {
            let is_heard = self.hear(&mut frame);
            if is_heard && !self.handle(&frame, turn) {
                return;
            }
            let woken = self.queue.pop();
            let is_idle = !is_heard && woken.is_none();
            if let Some(runnable) = woken
                && !turn.run(&self.watch, || _ = runnable.run())
            {
                return;
            }
            stretch += 1;
            if is_idle {
                is_busy = self.wait(is_busy);
                stretch = 0;
            } else if stretch == STRETCH {
                self.sleep(Some(Duration::ZERO));
                stretch = 0;
            }
        }
    }

    /// Takes the next message, if there is one.
    fn hear(&self, frame: &mut Vec<u8>) -> bool {
        let mut receiving = self.link.receive();
        match receiving.next() {
            Ok(None) => {
                receiving.stay_awake();
                false
            }
            Ok(Some(heard)) => {
                if frame.capacity() > KEPT_BYTES {
                    drop(mem::take(frame));
                }
                frame.clear();
                frame.extend_from_slice(heard);
                // It comes back before it sleeps, or another thread does in its place.
                receiving.stay_awake();
                true
            }
            Err(error) => Failure::from(error).end(),
        }
    }

    /// Waits until there is something to do. Looks for it first if the last of it came soon;
    /// answers whether this did.
    fn wait(&self, is_busy: bool) -> bool {
        let since = Instant::now();
        if !(is_busy && self.uses_rings && self.look(since)) {
            octa_loader::tidy_thread();
            self.sleep(None);
        }
        since.elapsed() < RECENT
    }

    /// Whether something came soon.
    fn look(&self, since: Instant) -> bool {
        let mut receiving = self.link.receive();
        while since.elapsed() < LOOK {
            if receiving.spin(GLANCE) || !self.queue.is_empty() {
                receiving.stay_awake();
                return true;
            }
        }
        false
    }

    fn sleep(&self, limit: Option<Duration>) {
        self.sleeps.store(true, Ordering::SeqCst);
        drop(self.link.receive());
        if self.queue.is_empty() || limit.is_some() {
            match self.link.park(limit) {
                Ok(Parked::Woken | Parked::TimedOut) => {}
                // Nobody is there any more for whom anything could be done.
                Ok(Parked::Closed) => exit_now(0),
                Err(error) => Failure::from(error).end(),
            }
        }
        self.sleeps.store(false, Ordering::SeqCst);
    }
}
