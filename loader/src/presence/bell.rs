//! The bell at the door: whoever watches may sleep while nobody enters, and is woken by the first
//! who does.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

/// Somebody who watches sleeps. Read at each entry and hardly ever written, so the line that it
/// lies in, alone, is shared by all processors and fought for by none.
static SOMEBODY_SLEEPS: Alone = Alone(AtomicBool::new(false));

#[repr(align(128))]
struct Alone(AtomicBool);

/// Held by who goes to sleep and by who wakes.
static DOOR: Mutex<()> = Mutex::new(());
static BELL: Condvar = Condvar::new();

/// Wakes who sleeps until somebody enters; after the mark was made.
#[inline(always)]
pub(crate) fn knock() {
    if SOMEBODY_SLEEPS.0.load(Ordering::Relaxed) {
        ring();
    }
}

/// Wakes all who sleep here.
#[cold]
#[inline(never)]
pub(super) fn ring() {
    SOMEBODY_SLEEPS.0.store(false, Ordering::Relaxed);
    // Who was about to sleep holds this, or sees afterwards that the bell rang.
    drop(DOOR.lock());
    BELL.notify_all();
}

/// How long somebody sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sleep {
    /// So long.
    For(Duration),
    /// So long, or until somebody enters.
    Lightly(Duration),
    /// Until somebody enters, if nobody has since the last light sleep began; else lightly.
    Deeply(Duration),
}

/// Sleeps, if `goes_on` says so.
pub(super) fn sleep(how: Sleep, goes_on: impl Fn() -> bool) {
    let mut door = DOOR.lock();
    if !goes_on() {
        return;
    }
    let time = match how {
        Sleep::For(time) => Some(time),
        Sleep::Lightly(time) => {
            SOMEBODY_SLEEPS.0.store(true, Ordering::Relaxed);
            Some(time)
        }
        Sleep::Deeply(time) => {
            let nobody_came = SOMEBODY_SLEEPS.0.swap(true, Ordering::Relaxed);
            (!nobody_came).then_some(time)
        }
    };
    match time {
        Some(time) => drop(BELL.wait_for(&mut door, time)),
        None => BELL.wait(&mut door),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    #[test]
    fn a_deep_sleep_ends_when_somebody_knocks() {
        let (tell, told) = mpsc::channel();
        let sleeper = thread::spawn(move || {
            SOMEBODY_SLEEPS.0.store(true, Ordering::Relaxed);
            let falls_asleep = || {
                tell.send(()).expect("somebody listens");
                true
            };
            sleep(Sleep::Deeply(Duration::from_secs(1)), falls_asleep);
        });
        told.recv().expect("it falls asleep");
        // It holds the door until it sleeps.
        drop(DOOR.lock());
        knock();
        sleeper.join().expect("it woke");
    }
}
