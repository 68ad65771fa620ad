//! The course of a soak: reload after reload under the load, a quiet time now and then, and looks
//! at memory after the first hundred and at the end.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use octa_kernel::Kernel;
use tokio::time::{sleep, sleep_until};

use crate::{
    checks::{self, Book, Check, Evidence},
    complaints::Complaints,
    latency::{AROUND, Latency},
    load::{Called, Load, Outcome, locked},
    memory::{self, Held},
    plugins::{Build, COUNTING, Home, PLUGINS},
    tally::{Shift, Tally},
    word::{Reloads, Word, until},
};

/// The longest that anything may take; nothing comes near.
const PATIENCE: Duration = Duration::from_secs(60);
/// After so many reloads, what is held should not grow any more.
const WARM: u64 = 100;
/// After so many reloads there is a quiet time.
const QUIET_EVERY: u64 = 10;
/// How long it is.
const QUIET: Duration = Duration::from_millis(250);
/// Longer than the kernel keeps threads that nobody needs.
const SETTLING: Duration = Duration::from_secs(11);
/// How often it is looked at what is held.
const LOOKS: usize = 21;
/// One of so many reloads of each plugin is begun by the kernel, which watches the file.
const ONE_WATCHED_IN: u64 = 4;

/// What a soak came to.
pub(crate) struct Soaked {
    pub(crate) checks: Vec<Check>,
    pub(crate) reloads: [Reloads; PLUGINS.len()],
    pub(crate) latency: Latency,
}

struct Course {
    kernel: Kernel,
    home: Home,
    word: Word,
    load: Load,
    tally: Tally,
    complaints: Complaints,
    began: Instant,
}

/// Goes through with it.
pub(crate) async fn run(builds: &Path, reloads: u64, complaints: Complaints) -> Result<Soaked> {
    memory::touch_program()?;
    let home = Home::new(builds)?;
    let kernel = home.start().await?;
    let word = Word::of(&kernel).await?;
    let load = Load::begin(&kernel, word.back());
    let mut course = Course {
        kernel,
        home,
        word,
        load,
        tally: Tally::default(),
        complaints,
        began: Instant::now(),
    };
    let warm = course.reload_all(reloads).await?;
    course.end(warm, reloads).await
}

impl Course {
    /// Reloads in turn; answers what was held when it should not grow any more.
    async fn reload_all(&mut self, reloads: u64) -> Result<Option<Held>> {
        let mut warm = None;
        for done in 0..reloads {
            let (plugin, round) = (done as usize % PLUGINS.len(), done / PLUGINS.len() as u64);
            let is_watched = round % ONE_WATCHED_IN == ONE_WATCHED_IN - 1;
            self.reload(plugin, is_watched).await?;
            if (done + 1) % QUIET_EVERY == 0 {
                self.be_quiet().await;
            }
            if done + 1 == WARM {
                warm = Some(self.held().await?);
            }
            if (done + 1) % (reloads / 20).max(1) == 0 {
                self.tell(done + 1, reloads)?;
            }
        }
        Ok(warm)
    }

    /// Replaces a plugin's file by the other build, and waits until that serves.
    async fn reload(&mut self, plugin: usize, is_watched: bool) -> Result<()> {
        let (name, to) = (PLUGINS[plugin], self.tally.serving(plugin).other());
        let before = self.generation(plugin)?;
        let asked = Instant::now();
        self.home.put(name, to)?;
        if !is_watched && let Err(error) = self.kernel.reload_plugin(name).await {
            // Where the machine is slow, the kernel may have begun by itself.
            let is_watched = error.0.kind == "conflict";
            ensure!(is_watched, "plugin `{name}` is not reloaded: {error}");
        }
        let serves = until(PATIENCE, || {
            self.generation(plugin).is_ok_and(|it| it > before)
        });
        ensure!(
            serves.await,
            "plugin `{name}` is not reloaded: {:#?}",
            self.kernel.plugins()
        );
        let done = Instant::now();
        let (calls, switched) = self.calls_until_answered(plugin, to, asked, done).await?;
        let shift = Shift {
            to,
            asked,
            done,
            switched,
        };
        self.tally.note_reload(calls, plugin, shift)
    }

    /// The generation of a plugin that serves.
    fn generation(&self, plugin: usize) -> Result<u64> {
        let plugins = self.kernel.plugins();
        let status = plugins.iter().find(|it| it.name == PLUGINS[plugin]);
        let generation = status.and_then(|it| it.generation.as_ref());
        Ok(generation.context("a plugin is gone")?.number)
    }

    /// The calls until well after the new build has answered one, and when it did first.
    async fn calls_until_answered(
        &self,
        plugin: usize,
        by: Build,
        asked: Instant,
        done: Instant,
    ) -> Result<(Vec<Called>, Instant)> {
        let mut calls = Vec::new();
        sleep_until((done + AROUND).into()).await;
        loop {
            calls.extend(self.load.take_called());
            let is_first = |call: &&Called| {
                let is_new = matches!(call.outcome, Outcome::Answered { by: it, .. } if it == by);
                call.plugin == plugin && is_new && call.ended >= asked
            };
            let first = calls.iter().filter(is_first).map(|call| call.ended).min();
            if let Some(switched) = first
                && switched.elapsed() >= AROUND
            {
                return Ok((calls, switched));
            }
            ensure!(
                done.elapsed() < PATIENCE,
                "build `{}` of plugin `{}` does not answer",
                by.name(),
                PLUGINS[plugin]
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn be_quiet(&mut self) {
        self.tally.note(self.load.take_called());
        self.tally.quiet();
        sleep(QUIET).await;
        self.tally.note(self.load.take_called());
        self.tally.busy();
    }

    /// What is held when all that has ended is gone, or should be.
    async fn held(&mut self) -> Result<Held> {
        let begun = Instant::now();
        while begun.elapsed() < SETTLING || !(self.are_unmapped()? || begun.elapsed() > PATIENCE) {
            sleep(Duration::from_millis(50)).await;
            self.tally.note(self.load.take_called());
        }
        let mut looks = Vec::new();
        for _ in 0..LOOKS {
            sleep(Duration::from_millis(10)).await;
            self.tally.note(self.load.take_called());
            looks.push(Held::now()?);
        }
        Ok(Held::median(&looks))
    }

    /// The generations that have ended and are still mapped, as the kernel says.
    fn retired(&self) -> Vec<String> {
        let mut told = Vec::new();
        for plugin in self.kernel.plugins() {
            told.extend(plugin.retired.iter().map(|it| {
                let (number, causes) = (it.generation.number, it.causes.join(", "));
                format!("generation {number} of `{}`: {causes}", plugin.name)
            }));
        }
        told
    }

    /// Whether only the generations that serve are there.
    fn are_unmapped(&self) -> Result<bool> {
        for plugin in 0..PLUGINS.len() {
            let serving = self.generation(plugin)?;
            if !self.word.are_unmapped_before(plugin, serving) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn tell(&self, done: u64, all: u64) -> Result<()> {
        let held = Held::now()?;
        let events: u64 = self.load.published().as_flattened().iter().sum();
        println!(
            "{:>4} %  {done:>6} reloads  {:>9} calls  {events:>9} events  {:>6.1} MiB  {:>4} mappings  {:>5.0} s",
            done * 100 / all,
            self.tally.calls,
            held.resident as f64 / f64::from(1 << 20),
            held.mappings,
            self.began.elapsed().as_secs_f64(),
        );
        Ok(())
    }

    /// Ends the load, and compares.
    async fn end(mut self, warm: Option<Held>, reloads: u64) -> Result<Soaked> {
        let end = self.held().await?;
        let mut generations = [0; PLUGINS.len()];
        for (plugin, generation) in generations.iter_mut().enumerate() {
            *generation = self.generation(plugin)?;
        }
        let retired = self.retired();
        let copies = memory::copies(&self.home.data())?;
        self.load.end().await?;
        self.tally.note(self.load.take_called());
        let book = self.all_handled().await?;
        let heard = self.word.heard();
        self.kernel.stop().await;
        let evidence = Evidence {
            reloads,
            published: self.load.published(),
            refused: self.load.refused(),
            tally: &self.tally,
            heard: &heard,
            book,
            generations,
            retired,
            complaints: locked(&self.complaints).clone(),
            copies,
            warm,
            end,
        };
        Ok(Soaked {
            checks: checks::all(&evidence),
            reloads: heard.reloads,
            latency: self.tally.latency,
        })
    }

    /// Waits until every event has been handled, no longer than is decent.
    async fn all_handled(&self) -> Result<Book> {
        let published = self.load.published();
        let are_back = || {
            let heard = self.word.heard().events;
            (0..PLUGINS.len())
                .filter(|it| *it != COUNTING)
                .all(|it| heard[it].map(|seen| seen.last) == published[it])
        };
        until(PATIENCE, are_back).await;
        let begun = Instant::now();
        loop {
            let book: Book = self.kernel.call("counting.show", &()).await?;
            if book.last() == published[COUNTING] || begun.elapsed() > PATIENCE {
                return Ok(book);
            }
            sleep(Duration::from_millis(1)).await;
        }
    }
}
