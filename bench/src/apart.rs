//! Calls to a plugin in a process of its own, beside a ping-pong of the same bytes over a socket;
//! and what such a process holds of the memory.

use std::{
    io::{Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use octa_kernel::{Capability, Payload};

use crate::{
    footprint::Footprint,
    host::Host,
    measure::{Pace, timed},
    processors::{Pinned, pin_process, pin_workers},
    report::{Figures, Goal, Report, Subject},
    table::Unit,
};

const BYTES: [u8; 64] = [b'x'; 64];
/// What this program is started with to be the other end of the ping-pong.
const PONG: &str = "--pong";
/// Long enough for everybody to have gone to sleep.
const IDLE: Duration = Duration::from_millis(2);

const HOT: Subject = Subject {
    what: "call to a plugin in a process of its own, one after the other",
    floor: "blocking ping-pong over a Unix socket, idle before",
    goal: Goal::AtMost(0.05),
};
const COLD: Subject = Subject {
    what: "call to a plugin in a process of its own, idle before",
    floor: "blocking ping-pong over a Unix socket, idle before",
    goal: Goal::AtMost(1.2),
};
const SHARE: Subject = Subject {
    what: "resident memory of a process with one plugin, what is shared with others counted in part",
    floor: "",
    goal: Goal::Told,
};
const PRIVATE: Subject = Subject {
    what: "resident memory of a process with one plugin, what it shares with nobody",
    floor: "",
    goal: Goal::Told,
};

pub(crate) fn measure(host: &Host, report: &mut Report) -> Result<()> {
    let echo = host.kernel.capability("bench.echo")?;
    let input = Payload::copy_from_slice(&BYTES);
    ensure!(*host.runtime.block_on(echo.call(&input))? == BYTES);
    weigh(host, report)?;
    let pinned = Pinned::first()?;
    pin_workers(&host.kernel, 1)?;
    let mut pong = Pong::start()?;
    let call = |capability: &Capability| {
        let answer = octa_plugin_api::block_on(capability.call(&input));
        drop(answer.expect("it answered before"));
    };
    let pace = Pace {
        rounds: report.pace().rounds / 4,
        turn: Duration::from_millis(2),
    };
    report.row(
        HOT,
        pace,
        &mut |count| idle_before(count, || pong.turn()),
        &mut |count| timed(count, || call(&echo)),
    );
    report.row(
        COLD,
        pace,
        &mut |count| idle_before(count, || pong.turn()),
        &mut |count| idle_before(count, || call(&echo)),
    );
    drop(pinned);
    Ok(())
}

/// What the plugin's process holds.
fn weigh(host: &Host, report: &mut Report) -> Result<()> {
    let process = host.kernel.plugins().into_iter().find_map(|it| it.process);
    let process = process.context("the plugin runs in the kernel's process")?;
    let footprint = Footprint::of(&process.id.to_string())?;
    for (subject, amount) in [(SHARE, footprint.share), (PRIVATE, footprint.private)] {
        report.enter(subject, Figures::amount(Unit::Bytes, amount));
    }
    Ok(())
}

/// Does it so many times, each after a pause that is not counted.
#[expect(
    clippy::disallowed_methods,
    reason = "idleness is what is measured here, not waited for"
)]
fn idle_before(count: u64, mut work: impl FnMut()) -> Duration {
    let once = |_| {
        thread::sleep(IDLE);
        let begin = Instant::now();
        work();
        begin.elapsed()
    };
    (0..count).map(once).sum()
}

/// A process that gives back what it is sent.
struct Pong {
    child: Child,
    socket: UnixStream,
}

impl Pong {
    fn start() -> Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(PONG).stdin(Stdio::from(OwnedFd::from(theirs)));
        let child = command.spawn()?;
        let mut this = Self { child, socket };
        this.turn();
        pin_process(this.child.id(), 1)?;
        Ok(this)
    }

    fn turn(&mut self) {
        let mut back = BYTES;
        let turned = self.socket.write_all(&BYTES);
        turned
            .and_then(|()| self.socket.read_exact(&mut back))
            .expect("the other end is there");
    }
}

impl Drop for Pong {
    fn drop(&mut self) {
        // It ends with the socket, or now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is the other end, if this program was started for that.
pub(crate) fn pong() -> Option<ExitCode> {
    if std::env::args().nth(1).as_deref() != Some(PONG) {
        return None;
    }
    let stdin = std::os::fd::AsFd::as_fd(&std::io::stdin()).try_clone_to_owned();
    let Ok(mut socket) = stdin.map(UnixStream::from) else {
        return Some(ExitCode::FAILURE);
    };
    let mut bytes = BYTES;
    while socket
        .read_exact(&mut bytes)
        .and_then(|()| socket.write_all(&bytes))
        .is_ok()
    {}
    Some(ExitCode::SUCCESS)
}
