//! A steady load of calls and events on the plugin `counter`, and an independent tally of it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use octa_kernel::Kernel;
use serde_json::{Value, json};

use crate::home::until;

/// How many threads call and publish.
const THREADS: usize = 3;

/// What should have been counted, and what went wrong.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    /// What answered calls added.
    pub(super) added: u64,
    /// What was published.
    pub(super) ticks: u64,
    /// The builds that answered.
    pub(super) by: BTreeSet<String>,
    /// The calls and events that failed, with their errors.
    pub(super) failed: Vec<String>,
}

impl Tally {
    /// The counts as the plugin should answer them.
    pub(super) fn counts(&self) -> Value {
        json!({ "added": self.added, "ticks": self.ticks })
    }
}

/// Which capabilities are called.
#[derive(Clone, Copy)]
pub(super) enum Calls {
    /// Those that answer at once: also where time stands still.
    AtOnce,
    /// Also those that wait a moment, so that some are always under way.
    Waiting,
}

/// The load; ends with [`end`](Self::end), or when it is dropped.
pub(super) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    kernel: Kernel,
    calls: Calls,
    ends: AtomicBool,
    tally: Mutex<Tally>,
}

impl Load {
    /// Begins to call and to publish.
    pub(super) fn begin(kernel: &Kernel, calls: Calls) -> Self {
        let shared = Arc::new(Shared {
            kernel: kernel.clone(),
            calls,
            ends: AtomicBool::new(false),
            tally: Mutex::default(),
        });
        let work = |_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.work())
        };
        let threads = (0..THREADS).map(work).collect();
        Self { shared, threads }
    }

    /// The tally so far.
    pub(super) fn tally(&self) -> Tally {
        self.shared.locked().clone()
    }

    /// Waits until so many calls more were answered or have failed.
    pub(super) async fn goes_on(&self, calls: u64) {
        let done = |tally: &Tally| tally.added + tally.failed.len() as u64;
        let goal = done(&self.tally()) + calls;
        until(|| done(&self.shared.locked()) >= goal).await;
    }

    /// Ends it, and answers what it came to.
    pub(super) async fn end(mut self) -> Tally {
        self.shared.ends.store(true, Ordering::Relaxed);
        for thread in std::mem::take(&mut self.threads) {
            until(|| thread.is_finished()).await;
            thread.join().expect("the load panicked");
        }
        self.tally()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.expect("a runtime").block_on(async {
            while !self.ends.load(Ordering::Relaxed) {
                self.round().await;
                // A load, not a race: others have the processors too.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }

    async fn round(&self) {
        self.add("counter.add").await;
        self.tick().await;
        if matches!(self.calls, Calls::Waiting) {
            self.add("counter.add_later").await;
        }
    }

    async fn add(&self, capability: &str) {
        let answer = self.kernel.call::<Value>(capability, &1).await;
        let mut tally = self.locked();
        match answer {
            Ok(answer) => {
                tally.added += 1;
                let by = answer["by"].as_str().unwrap_or("nobody");
                if !tally.by.contains(by) {
                    tally.by.insert(by.to_owned());
                }
            }
            Err(error) => tally.failed.push(format!("{capability}: {:?}", error.0)),
        }
    }

    async fn tick(&self) {
        let published = self.kernel.publish("counter.tick", &()).await;
        let mut tally = self.locked();
        match published {
            Ok(1) => tally.ticks += 1,
            other => tally.failed.push(format!("counter.tick: {other:?}")),
        }
    }
}
