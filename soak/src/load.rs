//! The steady load: calls to each plugin, begun at a steady pace whether those before have been
//! answered or not, and numbered events to each from several publishers.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use octa_kernel::Kernel;
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::plugins::{Build, COUNTING, PLUGINS};

/// How many threads call.
const CALLERS: usize = 2;
/// How many threads publish.
pub(crate) const PUBLISHERS: usize = 2;
/// How often each caller begins a call to each plugin.
const PACE: Duration = Duration::from_millis(2);
/// Of so many calls of a caller, one is to wait inside the plugin.
const ONE_LATER_IN: u64 = 4;
/// How many events each publisher publishes at once.
const BURST: u64 = 2;
/// How many events of each publisher may be on their way there and back: both together find room
/// in the queue of who counts them.
const ON_THE_WAY: u64 = 400;

/// A call that has ended.
#[derive(Debug)]
pub(crate) struct Called {
    /// Whom.
    pub(crate) plugin: usize,
    /// Whether it was to wait inside the plugin.
    pub(crate) is_later: bool,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    pub(crate) outcome: Outcome,
}

/// What a call came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answered {
        by: Build,
        /// How many calls the plugin had counted with this one.
        count: u64,
    },
    /// An answer that no build would give to this call.
    Strange(String),
    Failed(String),
}

/// What a plugin answers.
#[derive(Debug, Deserialize)]
struct Reply {
    by: String,
    number: u64,
    count: u64,
}

/// An event.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Numbered {
    pub(crate) publisher: usize,
    pub(crate) number: u64,
}

/// The load; ends with [`end`](Self::end).
pub(crate) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// A number for each plugin and publisher.
pub(crate) type Each<T> = [[T; PUBLISHERS]; PLUGINS.len()];

struct Shared {
    kernel: Kernel,
    ends: AtomicBool,
    under_way: AtomicUsize,
    called: Mutex<Vec<Called>>,
    published: Each<AtomicU64>,
    refused: Mutex<Vec<String>>,
    /// Of what the plugins publish again, the last that has come.
    back: Arc<Each<AtomicU64>>,
}

impl Load {
    /// Begins. Publishers wait for what should come `back`.
    pub(crate) fn begin(kernel: &Kernel, back: &Arc<Each<AtomicU64>>) -> Self {
        let shared = Arc::new(Shared {
            kernel: kernel.clone(),
            ends: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            called: Mutex::default(),
            published: Each::default(),
            refused: Mutex::default(),
            back: back.clone(),
        });
        let callers = (0..CALLERS).map(|_| on_thread(shared.clone().call()));
        let mut threads: Vec<_> = callers.collect();
        threads.extend((0..PUBLISHERS).map(|it| on_thread(shared.clone().publish_to_all(it))));
        Self { shared, threads }
    }

    /// The calls that have ended since this was asked last.
    pub(crate) fn take_called(&self) -> Vec<Called> {
        mem::take(&mut locked(&self.shared.called))
    }

    /// How many events were published, by plugin and publisher.
    pub(crate) fn published(&self) -> Each<u64> {
        let each = self.shared.published.each_ref();
        each.map(|plugin| plugin.each_ref().map(|it| it.load(Ordering::Relaxed)))
    }

    /// The events that nobody took, with the errors.
    pub(crate) fn refused(&self) -> Vec<String> {
        locked(&self.shared.refused).clone()
    }

    /// Ends it: what is under way is waited for.
    pub(crate) async fn end(&mut self) -> Result<()> {
        self.shared.ends.store(true, Ordering::Relaxed);
        for thread in mem::take(&mut self.threads) {
            while !thread.is_finished() {
                sleep(Duration::from_millis(1)).await;
            }
            thread.join().map_err(|_| anyhow!("the load panicked"))?;
        }
        Ok(())
    }
}

impl Shared {
    fn ends(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }

    async fn call(self: Arc<Self>) {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0;
        while !self.ends() {
            pace.tick().await;
            number += 1;
            for plugin in 0..PLUGINS.len() {
                self.clone().begin(plugin, number, false);
                if number % ONE_LATER_IN == 0 {
                    self.clone().begin(plugin, number, true);
                }
            }
        }
        while self.under_way.load(Ordering::SeqCst) > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Begins a call on a task of its own.
    fn begin(self: Arc<Self>, plugin: usize, number: u64, is_later: bool) {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let begun = Instant::now();
        tokio::spawn(async move {
            let outcome = self.ask(plugin, number, is_later).await;
            let ended = Instant::now();
            locked(&self.called).push(Called {
                plugin,
                is_later,
                begun,
                ended,
                outcome,
            });
            self.under_way.fetch_sub(1, Ordering::SeqCst);
        });
    }

    async fn ask(&self, plugin: usize, number: u64, is_later: bool) -> Outcome {
        let what = if is_later { "call_later" } else { "call" };
        let capability = format!("{}.{what}", PLUGINS[plugin]);
        let reply = match self.kernel.call::<Reply>(&capability, &number).await {
            Ok(reply) => reply,
            Err(error) => return Outcome::Failed(format!("`{capability}`: {:?}", error.0)),
        };
        match Build::named(&reply.by) {
            Some(by) if reply.number == number => {
                let count = reply.count;
                Outcome::Answered { by, count }
            }
            _ => Outcome::Strange(format!("`{capability}` of {number}: {reply:?}")),
        }
    }

    async fn publish_to_all(self: Arc<Self>, publisher: usize) {
        let publish = |plugin| tokio::spawn(self.clone().publish(publisher, plugin));
        for task in [0, 1, 2].map(publish) {
            task.await.expect("a publisher does not panic");
        }
    }

    async fn publish(self: Arc<Self>, publisher: usize, plugin: usize) {
        let topic = format!("{}.event", PLUGINS[plugin]);
        let published = &self.published[plugin][publisher];
        let back = &self.back[plugin][publisher];
        let mut last = 0;
        while !self.ends() {
            sleep(Duration::from_millis(1)).await;
            let is_far = last > back.load(Ordering::Relaxed) + ON_THE_WAY;
            if is_far && plugin != COUNTING {
                continue;
            }
            for number in last + 1..=last + BURST {
                let event = Numbered { publisher, number };
                match self.kernel.publish(&topic, &event).await {
                    Ok(1) => {}
                    other => {
                        locked(&self.refused).push(format!("`{topic}` {number}: {other:?}"));
                    }
                }
                published.store(number, Ordering::Relaxed);
            }
            last += BURST;
        }
    }
}

/// Runs a task on a thread of its own.
pub(crate) fn on_thread(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.expect("a runtime").block_on(task);
    })
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
