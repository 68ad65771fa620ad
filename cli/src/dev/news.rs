//! What the kernel does by itself while plugins are developed, such as going back to the
//! generation before; what was asked for here is told where it was asked for.

use std::collections::BTreeSet;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;

use octa_kernel::Kernel;
use octa_kernel::bus::{Event, Subscription};

use crate::live::RELOAD_TOPICS;
use crate::plugin_event::PluginEvent;
use crate::{output, show};

/// Listens to what is told of reloads.
#[derive(Debug)]
pub(crate) struct News {
    events: Option<Subscription>,
    /// What an event would tell again.
    told: BTreeSet<String>,
}

impl News {
    /// Listens from now on.
    pub(crate) async fn of(kernel: &Kernel) -> Self {
        let events = kernel.subscribe("kernel.plugin.*").await;
        if let Err(error) = &events {
            log::warn!(target: "octa", "what the kernel reloads by itself is not told: {error}");
        }
        Self {
            events: events.ok(),
            told: BTreeSet::new(),
        }
    }

    /// Forgets what was told: it may happen again.
    pub(crate) fn turn_the_page(&mut self) {
        self.told.clear();
    }

    /// What serves a plugin now is told.
    pub(crate) fn tells_of(&mut self, plugin: &str, number: u64) {
        self.told.insert(format!("{plugin} {number}"));
    }

    /// An error is told.
    pub(crate) fn tells(&mut self, message: &str) {
        self.told.insert(message.to_owned());
    }

    /// Waits for `work`, and tells the news meanwhile.
    pub(crate) async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                event = next(&mut self.events) => self.tell(&event),
                done = &mut work => return done,
            }
        }
    }

    fn tell(&self, event: &Event) {
        if !RELOAD_TOPICS.contains(&&*event.topic) {
            return;
        }
        let data = String::from_utf8_lossy(&event.payload);
        let Some(news) = PluginEvent::of(&data) else {
            return;
        };
        let (key, what) = match &news {
            PluginEvent::Replaced { reload, problem } => {
                let what = problem.as_ref().map_or("reloaded", |_| "went back");
                (format!("{} {}", reload.plugin, reload.to.number), what)
            }
            PluginEvent::Stayed { problem, .. } => (problem.message.clone(), "failed"),
            PluginEvent::Moved { .. } | PluginEvent::Blocked { .. } | PluginEvent::Ended { .. } => {
                return;
            }
        };
        if !self.told.contains(&key) {
            line(event.time, what, &news.to_text());
        }
    }
}

/// The next event; none ever where nobody listens, or the bus has closed.
async fn next(events: &mut Option<Subscription>) -> Arc<Event> {
    let event = match events {
        Some(events) => events.recv().await,
        None => None,
    };
    match event {
        Some(event) => event,
        None => pending().await,
    }
}

/// Says what happened, and when.
pub(crate) fn line(time: u64, what: &str, told: &str) {
    let clock = show::clock(time);
    output::say(&show::one_line(&format!("{clock} {what:<10} {told}")));
}
