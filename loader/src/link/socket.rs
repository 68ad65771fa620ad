//! The socket between the two processes, and what interrupts threads that wait for it.
//!
//! An end of the other process is told as [`Errno::PIPE`], by all of these functions.

use std::{
    io::{self, PipeReader, PipeWriter},
    os::unix::net::UnixStream,
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{RecvFlags, SendFlags},
};

pub(super) type Socket = UnixStream;

/// What a wake-up is. Nobody looks at it.
const WAKE: u8 = 0;

#[cfg(not(target_vendor = "apple"))]
const QUIETLY: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const QUIETLY: SendFlags = SendFlags::empty();

/// Readies a socket for the functions of this file.
pub(super) fn prepare(socket: &Socket) -> io::Result<()> {
    #[cfg(target_vendor = "apple")]
    rustix::net::sockopt::set_socket_nosigpipe(socket, true)?;
    socket.set_nonblocking(true)
}

/// What [`wait`] waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ready {
    pub(super) socket: bool,
    pub(super) room: bool,
    pub(super) nudge: bool,
}

/// Waits for the socket to have something, if asked also for room in it, or for a nudge; nothing
/// of that if the time is over.
pub(super) fn wait(
    socket: &Socket,
    nudge: &Nudge,
    room: bool,
    until: Option<Instant>,
) -> rustix::io::Result<Ready> {
    let mut wanted = PollFlags::IN;
    wanted.set(PollFlags::OUT, room);
    let mut polled = [
        PollFd::new(socket, wanted),
        PollFd::new(&nudge.reader, PollFlags::IN),
    ];
    poll_until(&mut polled, until)?;
    let found = polled[0].revents();
    Ok(Ready {
        socket: found.intersects(!PollFlags::OUT),
        room: found.contains(PollFlags::OUT),
        nudge: !polled[1].revents().is_empty(),
    })
}

/// Waits for the socket to have something; `false` if the time is over.
pub(super) fn wait_to_read(socket: &Socket, until: Option<Instant>) -> bool {
    let mut polled = [PollFd::new(socket, PollFlags::IN)];
    // If the system cannot wait, the next look at the socket says why.
    poll_until(&mut polled, until).is_err() || !polled[0].revents().is_empty()
}

fn poll_until(polled: &mut [PollFd<'_>], until: Option<Instant>) -> rustix::io::Result<()> {
    loop {
        // More than the system can express is forever.
        let left = until
            .map(|until| until.saturating_duration_since(Instant::now()))
            .and_then(|left| Timespec::try_from(left).ok());
        match poll(polled, left.as_ref()) {
            Err(Errno::INTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Sends what the socket takes: how many bytes that were.
pub(super) fn send(socket: &Socket, bytes: &[u8]) -> rustix::io::Result<usize> {
    unless_full(|| rustix::net::send(socket, bytes, QUIETLY))
}

/// Receives what there is: how many bytes that were.
pub(super) fn receive(socket: &Socket, into: &mut [u8]) -> rustix::io::Result<usize> {
    receive_as(socket, into, RecvFlags::empty())
}

/// Wakes whoever is parked at the other end. A socket that takes no more has wake-ups enough.
pub(super) fn wake(socket: &Socket) -> rustix::io::Result<()> {
    send(socket, &[WAKE]).map(drop)
}

/// Takes wake-ups out; whether there were any.
pub(super) fn drain(socket: &Socket) -> rustix::io::Result<bool> {
    receive(socket, &mut [0; 256]).map(|found| found > 0)
}

/// Whether there is something to be received.
pub(super) fn peek(socket: &Socket) -> rustix::io::Result<bool> {
    receive_as(socket, &mut [0; 1], RecvFlags::PEEK).map(|found| found > 0)
}

fn receive_as(socket: &Socket, into: &mut [u8], flags: RecvFlags) -> rustix::io::Result<usize> {
    let mut ended = false;
    let found = unless_full(|| {
        let (_, found) = rustix::net::recv(socket, &mut *into, flags)?;
        ended = found == 0;
        Ok(found)
    });
    if ended { Err(Errno::PIPE) } else { found }
}

/// Repeats what was interrupted; what would have to wait is 0.
fn unless_full(mut what: impl FnMut() -> rustix::io::Result<usize>) -> rustix::io::Result<usize> {
    loop {
        match what() {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(0),
            other => return other,
        }
    }
}

/// A pipe to oneself, for threads that are parked. One that is given while nobody is, waits.
pub(super) struct Nudge {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Nudge {
    pub(super) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        rustix::io::ioctl_fionbio(&reader, true)?;
        rustix::io::ioctl_fionbio(&writer, true)?;
        Ok(Self { reader, writer })
    }

    pub(super) fn give(&self) {
        // The reader is open for as long as the writer; a pipe that is full has enough of them.
        _ = rustix::io::write(&self.writer, &[WAKE]);
    }

    /// Takes them out; whether there were any.
    pub(super) fn take(&self) -> bool {
        rustix::io::read(&self.reader, &mut [0; 256]).is_ok_and(|found| found > 0)
    }
}
