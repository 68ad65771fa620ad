//! Runs a kernel in this process, with its admin socket, until it is interrupted.

use std::future::{Future, pending};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;
use octa_kernel::Kernel;
use thiserror::Error;
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::args;
use crate::config::Plan;
use crate::exit;
use crate::failure::{Explain, Failure};
use crate::follow;
use crate::live::{Live, Style};
use crate::logging;
use crate::meeting::Meeting;
use crate::server;
use crate::signals::Signals;
use crate::storage::Desk;
use crate::world::{self, World};

/// How long answers under way may take to leave after everything has stopped.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is said when a signal ends it.
const BY_SIGNAL: &str = "stopping; Ctrl-C again ends at once";
/// What is said when its time is over.
const BY_ITSELF: &str = "stopping";

/// The system gives no threads.
#[derive(Debug, Error)]
#[error("cannot start the threads of the program")]
pub(crate) struct ThreadError(#[from] io::Error);

impl Explain for ThreadError {
    fn kind(&self) -> &'static str {
        "unavailable"
    }
}

/// A kernel that is to run, and how what happens in it is shown.
#[derive(Debug)]
pub(crate) struct Host {
    /// What is to run.
    pub(crate) plan: Plan,
    /// How its events are shown, if they are.
    pub(crate) style: Option<Style>,
    /// The most verbose level that is logged.
    pub(crate) level: LevelFilter,
    /// The file that its configuration was read from.
    pub(crate) config: Option<PathBuf>,
}

/// Runs what was typed.
pub(crate) fn run(typed: &args::Run, json: bool, world: World) -> Result<(), Failure> {
    let launched = Instant::now();
    let plan = Plan::of(typed, &world)?;
    // A time too far away to be told is no limit.
    let limit = plan.limit.and_then(|limit| launched.checked_add(limit));
    let level = logging::install(&world, typed.quiet);
    let style = match (typed.quiet, json) {
        (true, _) => None,
        (false, true) => Some(Style::Json),
        (false, false) => Some(Style::Lines),
    };
    let host = Host {
        plan,
        style,
        level,
        config: typed.config.clone(),
    };
    let config = host.plan.config.clone();
    let file = typed.config.as_deref();
    host.run(world, limit, |kernel| {
        Ok(async move { follow::follow(&kernel, file, config, |read| read).await })
    })
}

impl Host {
    /// Runs the kernel until it is interrupted or its time is over.
    ///
    /// `begin` is called before the kernel starts, when it is known to be the only one over its
    /// data; what it answers is run beside the plugins, and does not end.
    pub(crate) fn run<B: Future<Output = ()>>(
        self,
        world: World,
        limit: Option<Instant>,
        begin: impl FnOnce(Kernel) -> Result<B, Failure>,
    ) -> Result<(), Failure> {
        let Self { plan, style, .. } = self;
        let (storage, data) = (plan.config.storage.clone(), plan.data.clone());
        let meeting = Meeting::of(&world);
        let mut builder = Kernel::builder();
        match world::worker() {
            Ok(program) => builder = builder.worker(program),
            Err(error) => {
                log::warn!(target: "octa", "no plugin can run in a process of its own: {error}")
            }
        }
        let builder = builder
            .worker_environment(world.worker_environment())
            .plugins(&plan.plugins)
            .data(&plan.data)
            .config(plan.config)
            .secrets(world.secrets(self.config.as_deref()))
            .log_level(self.level);
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(ThreadError::from)?;
        let outcome = runtime.block_on(async {
            let mut signals = Signals::listen()?;
            // Before the kernel is built: a second one must not touch the data of the first.
            let (_claim, listener) = meeting.claim(&plan.record)?;
            let kernel = builder.build()?;
            let beside = begin(kernel.clone())?;
            let (leave, left) = oneshot::channel();
            let desk = Desk {
                storage: kernel.storage().clone(),
                kernel: Some(kernel.clone()),
                config: storage,
                data,
            };
            let served = (kernel.clone(), desk);
            let serving = server::serve(served, plan.record.clone(), listener, left);
            let server = tokio::spawn(serving);
            log::info!(target: "octa", "kernel `{}` listens on `{}`", plan.record.name,
                meeting.socket(&plan.record.name).display());
            let outcome = stay(&kernel, limit, style, &mut signals, beside).await;
            drop(leave);
            drop(tokio::time::timeout(FAREWELL, server).await);
            outcome
        });
        // A handler that never returns must not keep the process.
        runtime.shutdown_background();
        outcome
    }
}

/// Starts everything, waits for a reason to end, and stops everything.
async fn stay(
    kernel: &Kernel,
    limit: Option<Instant>,
    style: Option<Style>,
    signals: &mut Signals,
    beside: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let live = match style {
        Some(style) => Some(Live::begin(kernel, style).await?),
        None => None,
    };
    let started = tokio::select! {
        started = kernel.start() => Some(started),
        () = signals.next() => { tell(BY_SIGNAL); None }
        () = reached(limit) => { tell(BY_ITSELF); None }
    };
    let mut printed = match (live, &started) {
        (Some(live), Some(Ok(()))) => Some(live.started(kernel)),
        (live, _) => live.map(Live::interrupted),
    };
    if let Some(Ok(())) = started {
        tokio::select! {
            () = signals.next() => tell(BY_SIGNAL),
            () = reached(limit) => tell(BY_ITSELF),
            () = end_of(&mut printed) => {}
            () = beside => {}
        }
    }
    unless_interrupted(signals, kernel.stop()).await;
    if printed.is_some() {
        unless_interrupted(signals, end_of(&mut printed)).await;
    }
    started.unwrap_or(Ok(())).map_err(Failure::from)
}

/// Ready when the printing has ended, as it does early if nobody reads; never if nothing is
/// printed.
async fn end_of(printed: &mut Option<oneshot::Receiver<()>>) {
    match printed {
        Some(receiver) if !receiver.is_terminated() => drop(receiver.await),
        Some(_) => {}
        None => pending().await,
    }
}

/// Says why it takes a moment until the end; nobody may be there to read it.
fn tell(what: &str) {
    drop(writeln!(io::stderr(), "{what}"));
}

async fn reached(limit: Option<Instant>) {
    match limit {
        Some(limit) => tokio::time::sleep_until(limit).await,
        None => pending().await,
    }
}

/// Waits for the end; who interrupts again does not want to wait.
async fn unless_interrupted(signals: &mut Signals, ending: impl Future<Output = ()>) {
    tokio::select! {
        () = ending => {}
        () = signals.again() => exit::at_once(),
    }
}
