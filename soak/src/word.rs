//! What comes from the bus: the events that plugins publish again, and the kernel's own word on
//! reloads and generations.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Result;
use octa_kernel::{
    Kernel,
    bus::{Event, Subscription},
};
use serde::Deserialize;

use crate::{
    latency::Times,
    load::{Each, Numbered, locked, on_thread},
    numbers::{EachOnce, InOrder},
    plugins::{COUNTING, PLUGINS},
};

/// Listens until the kernel stops.
pub(crate) struct Word {
    heard: Arc<Mutex<Heard>>,
    back: Arc<Each<AtomicU64>>,
    _threads: Vec<JoinHandle<()>>,
}

/// What was heard.
#[derive(Debug, Default, Clone)]
pub(crate) struct Heard {
    /// What the plugins published again.
    pub(crate) events: Each<InOrder>,
    /// The reloads, by plugin.
    pub(crate) reloads: [Reloads; PLUGINS.len()],
    /// The generations that are unmapped, by plugin.
    pub(crate) unmapped: [EachOnce; PLUGINS.len()],
    /// What should not have been said.
    pub(crate) amiss: Vec<String>,
}

/// How long reloads took.
#[derive(Debug, Default, Clone)]
pub(crate) struct Reloads {
    /// From the beginning to the switch.
    pub(crate) took: Times,
    /// How long of that new calls and events waited.
    pub(crate) paused: Times,
}

#[derive(Deserialize)]
struct OfReload {
    plugin: String,
    reload: Reload,
}

#[derive(Deserialize)]
struct Reload {
    took: u64,
    paused: u64,
}

#[derive(Deserialize)]
struct OfGeneration {
    plugin: String,
    generation: u64,
}

impl Word {
    /// Begins to listen.
    pub(crate) async fn of(kernel: &Kernel) -> Result<Self> {
        let heard = Arc::new(Mutex::<Heard>::default());
        let back = Arc::new(Each::<AtomicU64>::default());
        let mut threads = Vec::new();
        for (plugin, name) in PLUGINS.iter().enumerate() {
            if plugin != COUNTING {
                let echoes = kernel.subscribe(&format!("{name}.echo")).await?;
                let (heard, back) = (heard.clone(), back.clone());
                threads.push(on_thread(count(echoes, plugin, heard, back)));
            }
        }
        let word = kernel.subscribe("kernel.**").await?;
        threads.push(on_thread(listen(word, heard.clone())));
        Ok(Self {
            heard,
            back,
            _threads: threads,
        })
    }

    /// The last that has come back, by plugin and publisher.
    pub(crate) fn back(&self) -> &Arc<Each<AtomicU64>> {
        &self.back
    }

    /// What was heard so far.
    pub(crate) fn heard(&self) -> Heard {
        locked(&self.heard).clone()
    }

    /// Whether all generations of a plugin before this one are unmapped.
    pub(crate) fn are_unmapped_before(&self, plugin: usize, generation: u64) -> bool {
        locked(&self.heard).unmapped[plugin].last_and_missing() == (generation - 1, 0)
    }
}

async fn count(
    mut echoes: Subscription,
    plugin: usize,
    heard: Arc<Mutex<Heard>>,
    back: Arc<Each<AtomicU64>>,
) {
    while let Some(event) = echoes.recv().await {
        let Some(Numbered { publisher, number }) = parse(&event) else {
            locked(&heard).amiss.push(told(&event));
            continue;
        };
        let mut heard = locked(&heard);
        let seen = &mut heard.events[plugin][publisher];
        seen.note(number);
        back[plugin][publisher].store(seen.last, Ordering::Relaxed);
    }
}

async fn listen(mut word: Subscription, heard: Arc<Mutex<Heard>>) {
    while let Some(event) = word.recv().await {
        if note(&event, &mut locked(&heard)).is_none() {
            locked(&heard).amiss.push(told(&event));
        }
    }
}

/// Takes note of an event, if it is one that should be.
fn note(event: &Event, heard: &mut Heard) -> Option<()> {
    match &*event.topic {
        "kernel.plugin.reloaded" => {
            let of: OfReload = parse(event)?;
            let reloads = &mut heard.reloads[index(&of.plugin)?];
            reloads.took.note(Duration::from_nanos(of.reload.took));
            reloads.paused.note(Duration::from_nanos(of.reload.paused));
        }
        "kernel.generation.unmapped" => {
            let of: OfGeneration = parse(event)?;
            heard.unmapped[index(&of.plugin)?].note(of.generation);
        }
        // It may still go; at the end it is looked at who is there.
        "kernel.generation.kept" => {}
        "kernel.plugin.stopped" | "kernel.plugin.unloaded" => {}
        _ => return None,
    }
    Some(())
}

fn index(plugin: &str) -> Option<usize> {
    PLUGINS.iter().position(|name| *name == plugin)
}

fn parse<T: for<'de> Deserialize<'de>>(event: &Event) -> Option<T> {
    serde_json::from_slice(&event.payload).ok()
}

fn told(event: &Event) -> String {
    format!(
        "`{}`: {}",
        event.topic,
        String::from_utf8_lossy(&event.payload)
    )
}

/// Waits until `condition` holds, no longer than `patience`; answers whether it does.
pub(crate) async fn until(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let holds = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(patience, holds).await.is_ok()
}
