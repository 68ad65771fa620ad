//! The clock of a test: virtual, and able to wait until something sleeps.

use std::{pin::Pin, sync::Arc, time::Duration};

use octa_kernel::time::{Clock, VirtualClock};
use octa_plugin_api::Result;
use parking_lot::{Condvar, Mutex};

use crate::wait::{PATIENCE, late};

/// Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestClock {
    clock: VirtualClock,
    sleepers: Arc<(Mutex<Vec<Sleeper>>, Condvar)>,
}

/// What was asked for, and when it wakes.
#[derive(Debug)]
struct Sleeper {
    time: Duration,
    wakes: Duration,
}

impl TestClock {
    pub(crate) fn advance(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Waits until something sleeps for `time`, and goes on to when it wakes.
    pub(crate) fn tick(&self, time: Duration) -> Result<()> {
        let (sleepers, came) = &*self.sleepers;
        let mut sleepers = sleepers.lock();
        loop {
            let now = self.clock.monotonic();
            sleepers.retain(|sleeper| sleeper.wakes > now);
            if let Some(index) = sleepers.iter().position(|sleeper| sleeper.time == time) {
                let wakes = sleepers.remove(index).wakes;
                self.clock.advance(wakes - now);
                return Ok(());
            }
            if came.wait_for(&mut sleepers, PATIENCE).timed_out() {
                return Err(late(&format!("something that sleeps for {time:?}")));
            }
        }
    }
}

impl Clock for TestClock {
    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn wall(&self) -> Duration {
        self.clock.wall()
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (sleepers, came) = &*self.sleepers;
        let mut sleepers = sleepers.lock();
        let wakes = self.clock.monotonic().saturating_add(time);
        sleepers.push(Sleeper { time, wakes });
        came.notify_all();
        self.clock.sleep(time)
    }
}
