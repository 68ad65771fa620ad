//! From the start of the process to the moment when it is a worker: what it inherits is put where
//! no plugin finds it, the kernel is greeted, and what the process may reach is settled.

use std::{convert::Infallible, os::fd::OwnedFd, panic};

use octa_loader::{Link, Parked};
use octa_wire::{
    AbiVersion, Confinement, Hello, PROTOCOL, ProtocolVersion, ToKernel, ToWorker, Welcome,
};
use rustix::{
    fs::{FileType, Mode, OFlags, fstat, open},
    io::fcntl_dupfd_cloexec,
    stdio::{dup2_stdin, dup2_stdout, stderr, stdin, stdout},
};
use serde_json::Value;

use crate::{
    confine,
    failure::{Failure, say},
    worker::Worker,
};

/// The first descriptor that is none of the standard ones.
const FIRST: i32 = 3;

/// Is a worker; answers why it cannot be one.
pub(crate) fn start() -> Failure {
    tell_failures();
    match become_worker() {
        Ok(never) => match never {},
        Err(failure) => failure,
    }
}

fn become_worker() -> Result<Infallible, Failure> {
    let (socket, memory) = take_over()?;
    end_with_the_kernel()?;
    let has_rings = memory.is_some();
    let link = Link::inherited(socket, memory).map_err(Failure::system("use what it inherits"))?;
    let uses_rings = greet(&link, has_rings)?;
    if uses_rings {
        link.use_rings();
    }
    let worker: &'static Worker = Box::leak(Box::new(Worker::new(link, uses_rings)));
    worker
        .watch
        .keep(|turn| worker.spare.run(move || worker.lead(&turn)))
}

/// Tells panics and errors of this program as lines. Those of plugins take other ways.
fn tell_failures() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = info.payload_as_str().unwrap_or("something that is no text");
        say(&format!("panicked at {place}: {message}"));
    }));
    // There is another only if the program has set it up before.
    if log::set_logger(&Lines).is_ok() {
        log::set_max_level(log::LevelFilter::Error);
    }
}

struct Lines;

impl log::Log for Lines {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() == log::Level::Error
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            say(&format!("{}: {}", record.target(), record.args()));
        }
    }

    fn flush(&self) {}
}

/// Takes the connection and its memory from the standard input and output. Plugins that read find
/// nothing there; what they print goes where errors go.
fn take_over() -> Result<(OwnedFd, Option<OwnedFd>), Failure> {
    let kind = |found: rustix::fs::Stat| FileType::from_raw_mode(found.st_mode);
    if fstat(stdin()).map(kind) != Ok(FileType::Socket) {
        return Err(Failure::NotStartedByKernel);
    }
    close_the_rest();
    let take = |from| {
        fcntl_dupfd_cloexec(from, FIRST)
            .map_err(|errno| Failure::system("keep what it inherits")(errno.into()))
    };
    let socket = take(stdin())?;
    let memory = match fstat(stdout()).map(kind) {
        Ok(FileType::RegularFile) => Some(take(stdout())?),
        _ => None,
    };
    let moved = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .and_then(dup2_stdin)
        .and_then(|()| dup2_stdout(stderr()));
    moved.map_err(|errno| Failure::system("put its standard streams aside")(errno.into()))?;
    Ok((socket, memory))
}

/// Closes what the kernel's process did not mean to pass on, before a plugin finds it. A system that
/// cannot do this has closed what most programs open.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the system call has no safe wrapper")]
fn close_the_rest() {
    // SAFETY: the process has just begun, as `entry` demands: none of these is in use.
    unsafe { libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, 0) };
}

#[cfg(not(target_os = "linux"))]
fn close_the_rest() {}

/// The end of the connection tells that the kernel is gone; this does where nobody looks.
fn end_with_the_kernel() -> Result<(), Failure> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|errno| Failure::system("end with the kernel")(errno.into()))?;
    Ok(())
}

/// Hears who the kernel is, does as it says, and says who this is. Answers whether the rings are
/// used from now on.
fn greet(link: &Link, has_rings: bool) -> Result<bool, Failure> {
    let document = hear_hello(link)?;
    let protocol: ProtocolVersion = serde_json::from_value(document["protocol"].clone())?;
    if protocol.major != PROTOCOL.major {
        // So that the kernel can say both versions.
        welcome(link, false, Confinement::default())?;
        return Err(Failure::OtherProtocol(protocol));
    }
    let hello: Hello = serde_json::from_value(document)?;
    let rings = has_rings && hello.ring_bytes > 0;
    let confinement = confine::apply(&hello)?;
    welcome(link, rings, confinement)?;
    Ok(rings)
}

fn hear_hello(link: &Link) -> Result<Value, Failure> {
    loop {
        if let Some(frame) = link.receive().next()? {
            let ToWorker::Hello(document) = ToWorker::decode(frame)? else {
                return Err(Failure::OutOfTurn("anything but Hello"));
            };
            return Ok(serde_json::from_slice(document)?);
        }
        match link.park(None)? {
            // What was said before the end is heard first.
            Parked::Woken | Parked::TimedOut | Parked::Closed => {}
        }
    }
}

fn welcome(link: &Link, rings: bool, confinement: Confinement) -> Result<(), Failure> {
    let document = serde_json::to_vec(&Welcome {
        protocol: PROTOCOL,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        abi: AbiVersion {
            major: octa_plugin_abi::MAJOR,
            minor: octa_plugin_abi::MINOR,
        },
        rings,
        confinement,
    })?;
    let mut frame = Vec::new();
    ToKernel::Welcome(&document).encode(&mut frame);
    link.send(&frame)?;
    Ok(())
}
