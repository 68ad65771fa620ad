//! Removes values whose time is over, also where nobody asks for them: one task, one timer.

use std::time::Duration;

use super::State;
use super::shard::Shard;

impl State {
    /// Deletes all values whose time is over, and tells who watches.
    pub fn expire_due(&self) {
        for shard in &self.inner.shards {
            shard.expire_due(&*self.inner.clock);
        }
    }

    /// Tells when the next value is due, on the monotonic clock.
    pub fn next_expiry(&self) -> Option<Duration> {
        self.inner
            .shards
            .iter()
            .filter_map(Shard::next_expiry)
            .min()
    }

    /// Expires what is due when it is due, until the state is closed. Sleeps while nothing has a time to live.
    pub(crate) fn expire(&self) -> impl Future<Output = ()> + Send + use<> {
        let state = self.clone();
        // From here on, so that nothing is overheard before the first poll.
        let mut sooner = self.inner.sooner.subscribe();
        async move {
            while !*sooner.borrow_and_update() {
                state.expire_due();
                let clock = &state.inner.clock;
                let next = state.next_expiry();
                let next = next.map(|at| clock.sleep(at.saturating_sub(clock.monotonic())));
                let sleep = async {
                    match next {
                        Some(sleep) => sleep.await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = sleep => {}
                    Ok(()) = sooner.changed() => {}
                    else => return,
                }
            }
        }
    }

    pub(super) fn end_expiry(&self) {
        self.inner.sooner.send_replace(true);
    }
}
