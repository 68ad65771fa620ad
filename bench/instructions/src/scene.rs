//! A kernel with the plugin of the benchmark, started before anything is counted.

use std::{
    fs,
    future::{Future, pending},
    path::Path,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use octa_kernel::{Capability, Kernel, Payload, lifecycle::State, storage::Memory, time::Clock};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// The compiled plugin: it lies beside this program.
const PLUGIN: &str = "libocta_bench_plugin.so";

/// A kernel whose plugin runs in its process.
pub(crate) struct Scene {
    pub(crate) kernel: Kernel,
    /// What is said.
    pub(crate) bytes: Payload,
    runtime: Runtime,
    _directory: TempDir,
}

impl Scene {
    /// # Panics
    /// If it cannot be started: then there is nothing to count.
    pub(crate) fn start() -> Self {
        Self::try_start().expect("the kernel starts")
    }

    fn try_start() -> Result<Self> {
        let directory = TempDir::with_prefix("octa-bench-")?;
        let plugins = directory.path().join("plugins");
        fs::create_dir(&plugins)?;
        let built = std::env::current_exe()?.with_file_name(PLUGIN);
        install(&built, &plugins.join(PLUGIN))?;
        let kernel = Kernel::builder()
            .plugins(plugins)
            .data(directory.path().join("data"))
            .storage(Memory::new())
            .clock(StandingStill)
            .build()?;
        let runtime = Builder::new_current_thread().build()?;
        runtime.block_on(kernel.start())?;
        for plugin in kernel.plugins() {
            let problems = &plugin.problems;
            ensure!(
                plugin.state == State::Started,
                "the plugin is not started: {problems:?}"
            );
        }
        Ok(Self {
            kernel,
            bytes: Payload::copy_from_slice(&[b'x'; 64]),
            runtime,
            _directory: directory,
        })
    }

    pub(crate) fn capability(&self, name: &str) -> Capability {
        let capability = self.kernel.capability(name);
        capability.expect("the plugin provides it")
    }

    pub(crate) fn stop(self) {
        self.runtime.block_on(self.kernel.stop());
    }
}

/// A clock by which nothing ever takes too long: what a real timer costs depends on the moment.
#[derive(Debug)]
struct StandingStill;

impl Clock for StandingStill {
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn wall(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(pending())
    }
}

/// Copies a plugin to where the kernel accepts it: nobody else may be able to change it.
fn install(plugin: &Path, to: &Path) -> Result<()> {
    let copy = || {
        fs::copy(plugin, to)?;
        let mut permissions = fs::metadata(to)?.permissions();
        permissions.set_readonly(true);
        fs::set_permissions(to, permissions)
    };
    copy().with_context(|| format!("cannot copy `{}`", plugin.display()))
}

/// The outcome of a future that does not have to wait.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("what is counted here is ready at once"),
    }
}
