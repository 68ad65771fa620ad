//! Reload and unload: from a settled file to the switch and to the first reply of the new code,
//! until the old code is unmapped, and what is left after many. Watching is not in it: see
//! `peers`.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use octa_bench_build::Builds;
use octa_bench_floor::Opened;
use octa_kernel::{Capability, Config, Kernel, Payload, bus::Subscription};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    footprint::Footprint,
    host::{expect_started, install},
    measure::ready,
    report::{Figures, Goal, Report, Subject},
    table::Unit,
};

const FLOOR: &str = "one copy and bare open of the same file";

const SWITCH: Subject = Subject {
    what: "reload to a new build, from the settled file to the switch",
    floor: FLOOR,
    goal: Goal::AtMost(5.0),
};
const KNOWN: Subject = Subject {
    what: "reload to a build that served before, to the switch",
    floor: FLOOR,
    goal: Goal::AtMost(5.0),
};
const TOOK: Subject = Subject {
    what: "reload to a new build, as the kernel tells it (`took`)",
    floor: FLOOR,
    goal: Goal::Told,
};
const REPLY: Subject = Subject {
    what: "reload to a new build, until a caller has its first reply",
    floor: FLOOR,
    goal: Goal::Told,
};
const UNLOAD: Subject = Subject {
    what: "unload after a reload, from the switch until the old code is unmapped",
    floor: "",
    goal: Goal::Told,
};
const MAPPINGS: Subject = Subject {
    what: "500 reloads to new builds: mappings of the process",
    floor: "before them",
    goal: Goal::AtMost(1.01),
};
const MEMORY: Subject = Subject {
    what: "500 reloads to new builds: resident memory of the process",
    floor: "before them",
    goal: Goal::AtMost(1.01),
};

const MANY: usize = 500;
/// How long the caller sleeps between two calls, which its first reply comes late by.
const GLANCE: Duration = Duration::from_micros(20);

pub(crate) fn measure(plugin: &Path, report: &mut Report) -> Result<()> {
    let rows = [SWITCH, KNOWN, TOOK, REPLY, UNLOAD, MAPPINGS, MEMORY];
    if !rows.iter().any(|row| report.wants(row)) {
        return Ok(());
    }
    let mut stand = Stand::start(plugin)?;
    let rounds = report.pace().rounds;
    report.begin(&SWITCH);
    let new = stand.rounds(rounds, |stand| stand.highest + 1)?;
    report.begin(&KNOWN);
    let known = stand.rounds(rounds, |stand| stand.serving ^ 1)?;
    for (subject, rounds, pick) in [
        (SWITCH, &new, (|round| round.switched) as Pick),
        (KNOWN, &known, |round| round.switched),
        (TOOK, &new, |round| round.took),
        (REPLY, &new, |round| round.replied),
    ] {
        let floor = rounds.iter().map(|round| round.floor);
        report.enter(subject, Figures::pairs(floor.zip(rounds.iter().map(pick))));
    }
    let unmapped = new.iter().map(|round| round.unmapped);
    report.enter(UNLOAD, Figures::alone(unmapped));
    report.begin(&MAPPINGS);
    let before = Footprint::of("self")?;
    stand.rounds(MANY, |stand| stand.highest + 1)?;
    let after = Footprint::of("self")?;
    let mappings = [before.mappings, after.mappings];
    report.enter(MAPPINGS, Figures::two(Unit::Pieces, mappings));
    let resident = [before.resident, after.resident];
    report.enter(MEMORY, Figures::two(Unit::Bytes, resident));
    stand.stop();
    Ok(())
}

type Pick = fn(&Round) -> Duration;

/// What one round took.
struct Round {
    floor: Duration,
    /// From the call, by the wall clock, which is what the kernel tells the switch in.
    switched: Duration,
    /// What the kernel says that it took: from when it knew what the file holds to the switch.
    took: Duration,
    /// From the call.
    replied: Duration,
    /// From the switch.
    unmapped: Duration,
}

/// A kernel that does not watch, and one plugin of which there are many builds.
struct Stand {
    kernel: Kernel,
    runtime: Runtime,
    directory: TempDir,
    builds: Builds,
    /// The highest number of a build so far.
    highest: u64,
    /// The number of the build that serves.
    serving: u64,
    number: Capability,
    ended: Subscription,
}

impl Stand {
    fn start(plugin: &Path) -> Result<Self> {
        let directory = TempDir::with_prefix("octa-bench-")?;
        let plugins = directory.path().join("plugins");
        fs::create_dir(&plugins)?;
        install(plugin, &plugins.join("libmarker.so"))?;
        let mut config = Config::default();
        config.kernel.watch = false;
        let kernel = Kernel::builder()
            .plugins(plugins)
            .data(directory.path().join("data"))
            .config(config)
            .build()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
        runtime.block_on(kernel.start())?;
        expect_started(&kernel)?;
        let builds = Builds::of(fs::read(plugin)?);
        Ok(Self {
            number: kernel.capability("marker.number")?,
            ended: runtime.block_on(kernel.subscribe("kernel.generation.*"))?,
            builds: builds.context("the plugin does not tell where its number lies")?,
            highest: 0,
            serving: 0,
            kernel,
            runtime,
            directory,
        })
    }

    fn stop(self) {
        self.runtime.block_on(self.kernel.stop());
    }

    fn rounds(&mut self, rounds: usize, next: impl Fn(&Self) -> u64) -> Result<Vec<Round>> {
        let round = |index| {
            self.put(next(self))?;
            // Who goes first finds the caches as the other left them.
            if index % 2 == 0 {
                let floor = self.bare()?;
                Ok(Round {
                    floor,
                    ..self.reload()?
                })
            } else {
                let round = self.reload()?;
                Ok(Round {
                    floor: self.bare()?,
                    ..round
                })
            }
        };
        (0..rounds).map(round).collect()
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("plugins").join("libmarker.so")
    }

    /// Puts a build in the place of the plugin's file.
    fn put(&mut self, number: u64) -> Result<()> {
        let written = self.directory.path().join("written.so");
        fs::write(&written, self.builds.build(number))?;
        fs::rename(&written, self.path())?;
        self.highest = self.highest.max(number);
        self.serving = number;
        Ok(())
    }

    /// The floor: one copy and bare open.
    fn bare(&self) -> Result<Duration> {
        let copy = self.directory.path().join("copy.so");
        let began = Instant::now();
        let opened = Opened::copy_of(&self.path(), &copy).map_err(anyhow::Error::from_boxed)?;
        let took = began.elapsed();
        drop(opened);
        fs::remove_file(copy)?;
        Ok(took)
    }

    /// Reloads to the build that was put, and waits until the one before is unmapped.
    #[expect(
        clippy::disallowed_methods,
        reason = "a caller that has other things to do, beside the kernel's own clock"
    )]
    fn reload(&mut self) -> Result<Round> {
        let kernel = self.kernel.clone();
        let (began_at, began) = (SystemTime::now(), Instant::now());
        let reload = async move { kernel.reload_plugin("marker").await };
        let reload = self.runtime.spawn(reload);
        while self.answer()? != self.serving && !reload.is_finished() {
            thread::sleep(GLANCE);
        }
        let replied = began.elapsed();
        let reloaded = async { anyhow::Ok(reload.await??) };
        let ended = async {
            let event = self.ended.recv().await;
            let event = event.context("the kernel has stopped")?;
            anyhow::Ok((event, began.elapsed()))
        };
        let both = async { tokio::try_join!(reloaded, ended) };
        let (reloaded, (event, unmapped)) = self.runtime.block_on(both)?;
        ensure!(
            &*event.topic == "kernel.generation.unmapped",
            "the old code stays mapped: {}",
            String::from_utf8_lossy(&event.payload)
        );
        let switched_at = UNIX_EPOCH + Duration::from_nanos(reloaded.to.since);
        let switched = switched_at.duration_since(began_at)?;
        Ok(Round {
            floor: Duration::ZERO,
            switched,
            took: Duration::from_nanos(reloaded.took),
            replied,
            unmapped: unmapped.saturating_sub(switched),
        })
    }

    /// The number of the build that answers.
    fn answer(&self) -> Result<u64> {
        let answer = ready(self.number.call(&Payload::empty()))?;
        Ok(u64::from_le_bytes((*answer).try_into()?))
    }
}
