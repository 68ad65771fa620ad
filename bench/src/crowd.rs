//! Many plugins at once, each the same code under a name of its own: how long a kernel takes to
//! start them all, and what each holds of the memory.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Error, Result, ensure};
use octa_bench_floor::Opened;
use octa_kernel::{Config, Kernel, storage::Memory};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    footprint::resident_beside,
    host::expect_started,
    report::{Figures, Goal, Report, Subject},
    table::Unit,
    template::Template,
};

const PLUGINS: usize = 100;
/// What the plugin calls itself.
const NAME: &str = "marker";

const START: Subject = Subject {
    what: "cold start of 100 plugins, all seen before",
    floor: "100 times copy and bare open of the same files",
    goal: Goal::AtMost(1.5),
};
const FIRST: Subject = Subject {
    what: "cold start of 100 plugins, never seen before",
    floor: "100 times copy and bare open of the same files",
    goal: Goal::Told,
};
const MEMORY: Subject = Subject {
    what: "resident memory of one instance of 100, beyond its own mapped pages",
    floor: "",
    goal: Goal::Within(150.0 * 1024.0),
};

/// Measures what an instance holds: before anything else, which would leave memory to be used
/// again.
pub(crate) fn weigh(plugin: &Path, report: &mut Report) -> Result<()> {
    if !report.wants(&MEMORY) {
        return Ok(());
    }
    report.begin(&MEMORY);
    let crowd = Crowd::new()?;
    crowd.join(plugin, 0..1)?;
    let kernel = crowd.kernel(crowd.directory.path())?;
    crowd.start(&kernel, 1)?;
    let before = crowd.resident()?;
    crowd.join(plugin, 1..PLUGINS + 1)?;
    crowd.start(&kernel, PLUGINS + 1)?;
    let each = (crowd.resident()? - before) / PLUGINS as f64;
    report.enter(MEMORY, Figures::amount(Unit::Bytes, each));
    crowd.runtime.block_on(kernel.stop());
    Ok(())
}

pub(crate) fn measure(plugin: &Path, report: &mut Report) -> Result<()> {
    if !report.wants(&START) && !report.wants(&FIRST) {
        return Ok(());
    }
    let crowd = Crowd::new()?;
    crowd.join(plugin, 0..PLUGINS)?;
    let rounds = report.pace().in_turns_longer(20).rounds;
    report.begin(&FIRST);
    let known = TempDir::with_prefix("octa-bench-")?;
    let first = (0..rounds).map(|round| crowd.round(round, &TempDir::with_prefix("octa-bench-")?));
    let first = first.collect::<Result<Vec<_>>>()?;
    report.begin(&START);
    crowd.cold_start(&known)?;
    let again = (0..rounds).map(|round| crowd.round(round, &known));
    let again = again.collect::<Result<Vec<_>>>()?;
    report.enter(START, Figures::pairs(again.into_iter()));
    report.enter(FIRST, Figures::pairs(first.into_iter()));
    Ok(())
}

/// A directory of plugins that differ in their names alone.
struct Crowd {
    runtime: Runtime,
    directory: TempDir,
}

impl Crowd {
    fn new() -> Result<Self> {
        let directory = TempDir::with_prefix("octa-bench-")?;
        fs::create_dir(directory.path().join("plugins"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
        Ok(Self { runtime, directory })
    }

    /// Puts plugins with these numbers into the directory.
    fn join(&self, plugin: &Path, numbers: impl Iterator<Item = usize>) -> Result<()> {
        // With the name, those of its capabilities.
        let named = |name: &str| format!("\"name\":\"{name}");
        let mut template = Template::of(fs::read(plugin)?, &named(NAME))?;
        for number in numbers {
            let path = self.plugins().join(format!("lib{number}.so"));
            let name = format!("m{number:0width$}", width = NAME.len() - 1);
            fs::write(path, template.with(&named(&name))?)?;
        }
        Ok(())
    }

    fn plugins(&self) -> PathBuf {
        self.directory.path().join("plugins")
    }

    /// A kernel for them, with what it knows in that directory.
    fn kernel(&self, data: &Path) -> Result<Kernel> {
        let mut config = Config::default();
        config.kernel.watch = false;
        let builder = Kernel::builder().plugins(self.plugins());
        let builder = builder.data(data.join("data")).config(config);
        Ok(builder.storage(Memory::new()).build()?)
    }

    fn start(&self, kernel: &Kernel, plugins: usize) -> Result<()> {
        self.runtime.block_on(kernel.start())?;
        expect_started(kernel)?;
        let there = kernel.plugins().len();
        ensure!(
            there == plugins,
            "{there} plugins are there, expected {plugins}"
        );
        Ok(())
    }

    /// What this process has in memory, without the pages of the plugins' files.
    fn resident(&self) -> Result<f64> {
        let directory = self.directory.path().to_string_lossy();
        resident_beside(|mapping| mapping.contains(&*directory))
    }

    /// The floor and ours.
    fn round(&self, round: usize, data: &TempDir) -> Result<(Duration, Duration)> {
        // Who goes first finds the caches as the other left them.
        if round.is_multiple_of(2) {
            let floor = self.bare()?;
            Ok((floor, self.cold_start(data)?))
        } else {
            let ours = self.cold_start(data)?;
            Ok((self.bare()?, ours))
        }
    }

    /// From nothing to a kernel that has started all.
    fn cold_start(&self, data: &TempDir) -> Result<Duration> {
        let began = Instant::now();
        let kernel = self.kernel(data.path())?;
        self.runtime.block_on(kernel.start())?;
        let took = began.elapsed();
        expect_started(&kernel)?;
        self.runtime.block_on(kernel.stop());
        Ok(took)
    }

    /// The floor: one copy and bare open of each.
    fn bare(&self) -> Result<Duration> {
        let copies = TempDir::with_prefix("octa-bench-")?;
        let copy = |number| {
            let name = format!("lib{number}.so");
            Opened::copy_of(&self.plugins().join(&name), &copies.path().join(name))
        };
        let began = Instant::now();
        let opened: Result<Vec<_>, _> = (0..PLUGINS).map(copy).collect();
        let took = began.elapsed();
        drop(opened.map_err(Error::from_boxed)?);
        Ok(took)
    }
}
