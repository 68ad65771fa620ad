//! Who runs on which processor: a call between two processes is measured with each on one of its
//! own, as far as there are two.

use std::{fs, num::NonZero, sync::LazyLock, thread};

use anyhow::{Context, Result};
use octa_kernel::Kernel;
use rustix::{
    process::Pid,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

/// Keeps the thread that makes it to the first processor while it is there.
#[derive(Debug)]
pub(crate) struct Pinned {
    before: CpuSet,
}

impl Pinned {
    pub(crate) fn first() -> Result<Self> {
        let before = sched_getaffinity(None)?;
        pin(None, 0)?;
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Err(error) = sched_setaffinity(None, &self.before) {
            eprintln!("warning: this thread stays on one processor: {error}");
        }
    }
}

/// Keeps all threads of a process to one processor.
pub(crate) fn pin_process(process: u32, processor: usize) -> Result<()> {
    for thread in threads(process)? {
        pin(Pid::from_raw(thread.cast_signed()), processor)?;
    }
    Ok(())
}

/// Keeps the processes that carry the kernel's plugins to one processor.
pub(crate) fn pin_workers(kernel: &Kernel, processor: usize) -> Result<()> {
    for plugin in kernel.plugins() {
        let process = plugin
            .process
            .context("the plugin runs in the kernel's process")?;
        pin_process(process.id, processor)?;
    }
    Ok(())
}

/// The processes that a process has started.
pub(crate) fn children(process: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for thread in threads(process)? {
        let path = format!("/proc/{process}/task/{thread}/children");
        let told = fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))?;
        children.extend(
            told.split_whitespace()
                .filter_map(|id| id.parse::<u32>().ok()),
        );
    }
    Ok(children)
}

fn threads(process: u32) -> Result<Vec<u32>> {
    let mut threads = Vec::new();
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let name = task?.file_name();
        threads.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(threads)
}

/// How many there are; asked for before the first thread is kept to one, since that counts.
static THERE: LazyLock<usize> =
    LazyLock::new(|| thread::available_parallelism().map_or(1, NonZero::get));

/// Keeps a thread to one processor, if there is such.
fn pin(thread: Option<Pid>, processor: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(processor % *THERE);
    sched_setaffinity(thread, &only).context("cannot keep a thread to one processor")
}
