//! Time, passed in: the system's for real, a virtual one for tests.

use std::{
    collections::BTreeMap,
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Poll, Waker},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use octa_loader::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::Handle;

/// The clocks of a kernel, and its timers.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The time since an arbitrary moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// The wall-clock time since 1970.
    fn wall(&self) -> Duration;

    /// A future that is ready after `time` from now.
    fn sleep(&self, time: Duration) -> BoxFuture<()>;
}

/// The system's clocks, and timers of the kernel's runtime.
#[derive(Debug)]
pub(crate) struct SystemClock {
    origin: Instant,
    runtime: Handle,
}

impl SystemClock {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self {
            origin: Instant::now(),
            runtime,
        }
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "the one home of the wall clock")]
    fn wall(&self) -> Duration {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<()> {
        let _inside = self.runtime.enter();
        Box::pin(tokio::time::sleep(time))
    }
}

/// A clock that stands still until it is told to go on. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct VirtualClock(Arc<Mutex<Virtual>>);

#[derive(Debug)]
struct Virtual {
    now: Duration,
    next: u64,
    /// By the moment and the order they were made in. `None` until they are first polled.
    timers: BTreeMap<(Duration, u64), Option<Waker>>,
}

impl VirtualClock {
    /// A clock that shows `wall` since 1970.
    pub fn starting_at(wall: Duration) -> Self {
        Self(Arc::new(Mutex::new(Virtual {
            now: wall,
            next: 0,
            timers: BTreeMap::new(),
        })))
    }

    /// Goes on by `time`, moment by moment, waking whose time has come.
    pub fn advance(&self, time: Duration) {
        let end = self.0.lock().now + time;
        while let Some(waker) = self.next_until(end) {
            waker.wake();
        }
        self.0.lock().now = end;
    }

    /// The time until the next timer, if there is one.
    pub fn until_next(&self) -> Option<Duration> {
        let clock = self.0.lock();
        let (at, _) = clock.timers.keys().next()?;
        Some(at.saturating_sub(clock.now))
    }

    fn next_until(&self, end: Duration) -> Option<Waker> {
        let mut clock = self.0.lock();
        loop {
            let (&(at, number), _) = clock.timers.first_key_value()?;
            if at > end {
                return None;
            }
            clock.now = clock.now.max(at);
            if let Some(waker) = clock.timers.remove(&(at, number)).flatten() {
                return Some(waker);
            }
        }
    }
}

impl Default for VirtualClock {
    /// Shows the first moment of 2026.
    fn default() -> Self {
        Self::starting_at(Duration::from_secs(1_767_225_600))
    }
}

impl Clock for VirtualClock {
    fn monotonic(&self) -> Duration {
        self.0.lock().now
    }

    fn wall(&self) -> Duration {
        self.0.lock().now
    }

    fn sleep(&self, time: Duration) -> BoxFuture<()> {
        let mut clock = self.0.lock();
        let key = (clock.now.saturating_add(time), clock.next);
        clock.next += 1;
        clock.timers.insert(key, None);
        drop(clock);
        let timer = Timer {
            clock: self.clone(),
            key,
        };
        Box::pin(poll_fn(move |cx| timer.poll(cx.waker())))
    }
}

/// A virtual timer; dropping it takes it off the clock.
struct Timer {
    clock: VirtualClock,
    key: (Duration, u64),
}

impl Timer {
    fn poll(&self, waker: &Waker) -> Poll<()> {
        let mut clock = self.clock.0.lock();
        if clock.now >= self.key.0 {
            return Poll::Ready(());
        }
        clock.timers.insert(self.key, Some(waker.clone()));
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clock.0.lock().timers.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Context;

    use super::*;

    #[test]
    fn virtual_timers_fire_in_order() {
        let clock = VirtualClock::default();
        let mut cx = Context::from_waker(Waker::noop());
        let [mut late, mut early] = [3, 1].map(|s| clock.sleep(Duration::from_secs(s)));
        assert!(late.as_mut().poll(&mut cx).is_pending());
        assert!(early.as_mut().poll(&mut cx).is_pending());
        assert_eq!(clock.until_next(), Some(Duration::from_secs(1)));
        clock.advance(Duration::from_secs(2));
        assert!(late.as_mut().poll(&mut cx).is_pending());
        assert!(early.as_mut().poll(&mut cx).is_ready());
        drop(late);
        assert_eq!(clock.until_next(), None);
    }
}
