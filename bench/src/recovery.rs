//! How soon a plugin in a process of its own answers again after its process was killed.

use std::{
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use octa_kernel::{
    Config, Payload,
    config::{Placement, Restart},
};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    host::{Host, NAME, placed},
    report::{Figures, Goal, Report, Subject},
};

const FLOOR: &str = "start of the same program, until it has ended";

const AT_ONCE: Subject = Subject {
    what: "process of a plugin killed, until a call is answered again, backoff 1 ms",
    floor: FLOOR,
    goal: Goal::Told,
};
const BY_DEFAULT: Subject = Subject {
    what: "process of a plugin killed, until a call is answered again, backoff 200 ms (default)",
    floor: FLOOR,
    goal: Goal::Told,
};

/// How long the caller sleeps between two calls, which its first answer comes late by.
const GLANCE: Duration = Duration::from_micros(50);
/// How long is waited for an answer before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn measure(plugin: &Path, report: &mut Report) -> Result<()> {
    let at_once = Duration::from_millis(1);
    for (subject, backoff) in [(AT_ONCE, at_once), (BY_DEFAULT, Restart::default().backoff)] {
        if !report.wants(&subject) {
            continue;
        }
        report.begin(&subject);
        let host = Host::start_with(plugin, restarted_after(backoff))?;
        let rounds = report.pace().in_turns_longer(8).rounds;
        let rounds = (0..rounds).map(|_| Ok((ended()?, recover(&host)?)));
        let rounds = rounds.collect::<Result<Vec<_>>>()?;
        report.enter(subject, Figures::pairs(rounds.into_iter()));
        host.stop();
    }
    Ok(())
}

/// A plugin in a process of its own that may be killed as often as one likes, and waits as long
/// each time as the first.
fn restarted_after(backoff: Duration) -> Config {
    let mut config = placed(Placement::Process);
    if let Some(plugin) = config.plugins.get_mut(NAME) {
        plugin.restart.backoff = backoff;
        plugin.restart.backoff_max = backoff;
        plugin.restart.budget = u32::MAX;
    }
    config
}

/// The floor: a program like the plugin's process, which finds nobody to carry plugins for.
fn ended() -> Result<Duration> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(octa_worker::ARGUMENT);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    command.status()?;
    Ok(began.elapsed())
}

/// Kills the plugin's process and calls until another one answers.
#[expect(
    clippy::disallowed_methods,
    reason = "a caller that has other things to do"
)]
fn recover(host: &Host) -> Result<Duration> {
    let echo = host.kernel.capability("bench.echo")?;
    let input = Payload::empty();
    let killed = process(host).context("the plugin has no process of its own")?;
    let id = Pid::from_raw(killed.cast_signed()).context("the process has no number")?;
    let began = Instant::now();
    kill_process(id, Signal::KILL)?;
    loop {
        let answered = octa_plugin_api::block_on(echo.call(&input)).is_ok();
        let took = began.elapsed();
        if answered && process(host).is_some_and(|process| process != killed) {
            return Ok(took);
        }
        ensure!(
            took < PATIENCE,
            "no call is answered: {:?}",
            host.kernel.plugins()
        );
        thread::sleep(GLANCE);
    }
}

/// The process that carries the plugin.
fn process(host: &Host) -> Option<u32> {
    let plugins = host.kernel.plugins();
    let process = plugins.into_iter().find_map(|plugin| plugin.process);
    process.map(|process| process.id)
}
