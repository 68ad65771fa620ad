//! Calls beside those of what others make for the same purpose, 64 bytes each way, one after the
//! other: each in programs of its own, in turns with ours.

use std::{
    hint::black_box,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use octa_kernel::{Payload, config::Placement};

use crate::{
    host::Host,
    measure::timed,
    processors::{Pinned, children, pin_process, pin_workers},
    report::{Goal, Report, Subject},
};

const BYTES: [u8; 64] = [b'x'; 64];

const GRPC: Subject = Subject {
    what: "call to a plugin in a process of its own",
    floor: "unary gRPC over a Unix socket (tonic)",
    goal: Goal::AtMost(0.2),
};

/// Measures calls to the benchmark's plugin beside unary gRPC between two processes.
pub(crate) fn beside_grpc(program: &Path, plugin: &Path, report: &mut Report) -> Result<()> {
    let host = Host::start(plugin, Placement::Process)?;
    let pinned = Pinned::first()?;
    pin_workers(&host.kernel, 1)?;
    let echo = host.kernel.capability("bench.echo")?;
    let input = Payload::copy_from_slice(&BYTES);
    row(GRPC, program, report, &mut || {
        Ok(octa_plugin_api::block_on(echo.call(&input))?)
    })?;
    drop(pinned);
    host.stop();
    Ok(())
}

fn row(
    subject: Subject,
    program: &Path,
    report: &mut Report,
    call: &mut dyn FnMut() -> Result<Payload>,
) -> Result<()> {
    let mut rival = Rival::start(program)?;
    ensure!(*call()? == BYTES);
    report.row(
        subject,
        report.pace(),
        &mut |count| rival.calls(count).expect("it answered before"),
        &mut |count| {
            timed(count, || {
                drop(black_box(call().expect("it answered before")))
            })
        },
    );
    rival.end()
}

/// A program that calls as often as it is told, and tells how long that took.
struct Rival {
    child: Child,
    ask: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Rival {
    /// Starts it, on the first processor; what it starts itself is kept to the second.
    fn start(program: &Path) -> Result<Self> {
        let cannot = || format!("cannot run `{}`", program.display());
        let mut command = Command::new(program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(cannot)?;
        let ask = child.stdin.take().with_context(cannot)?;
        let told = child.stdout.take().with_context(cannot)?;
        let mut rival = Self {
            child,
            ask,
            told: BufReader::new(told),
        };
        // When it answers, it has started all it needs.
        rival.calls(1)?;
        pin_process(rival.child.id(), 0)?;
        for child in children(rival.child.id())? {
            pin_process(child, 1)?;
        }
        Ok(rival)
    }

    fn calls(&mut self, count: u64) -> Result<Duration> {
        writeln!(self.ask, "{count}")?;
        let mut line = String::new();
        self.told.read_line(&mut line)?;
        let nanos = line.trim().parse();
        let nanos = nanos.with_context(|| format!("found `{line}`, expected nanoseconds"))?;
        Ok(Duration::from_nanos(nanos))
    }

    /// Lets it end by itself.
    fn end(self) -> Result<()> {
        let Self { mut child, ask, .. } = self;
        drop(ask);
        let status = child.wait()?;
        ensure!(status.success(), "it has ended with {status}");
        Ok(())
    }
}
