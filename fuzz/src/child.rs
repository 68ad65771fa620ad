//! A process that is forked for one input, and what becomes of it.

use std::{
    fs::File,
    io::{self, Read, Seek},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    time::{Duration, Instant},
};

/// A forked process.
#[derive(Debug)]
pub struct Child {
    id: libc::pid_t,
    output: File,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Not in time.
    Never,
}

impl Child {
    /// Forks. What is its standard input and output there is given; what it says is kept.
    ///
    /// # Errors
    ///
    /// The system refuses it.
    pub fn fork(
        stdin: BorrowedFd<'_>,
        stdout: BorrowedFd<'_>,
        live: fn() -> !,
    ) -> io::Result<Self> {
        let output = File::from(nameless()?);
        // SAFETY: this process has no other thread that could hold a lock for ever, but that of
        // libFuzzer which looks at the clock.
        let id = match unsafe { libc::fork() } {
            -1 => return Err(io::Error::last_os_error()),
            0 => {
                for (from, to) in [(stdin, 0), (stdout, 1), (output.as_fd(), 2)] {
                    // SAFETY: the first is open, and nobody relies on what the second was.
                    unsafe { libc::dup2(from.as_raw_fd(), to) };
                }
                // The other end of the connection, above all: while it is open here, too, it is.
                // SAFETY: whatever they belong to is not used in this process.
                unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
                live()
            }
            id => id,
        };
        Ok(Self { id, output })
    }

    /// Waits for its end, no longer than that; then ends it.
    pub fn end(&mut self, within: Duration) -> Ended {
        let until = Instant::now() + within;
        let mut pause = Duration::from_micros(50);
        while Instant::now() < until {
            if let Some(ended) = self.wait(libc::WNOHANG) {
                return ended;
            }
            std::thread::park_timeout(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
        // SAFETY: it was not waited for yet, so that the number is its own.
        unsafe { libc::kill(self.id, libc::SIGKILL) };
        self.wait(0);
        Ended::Never
    }

    fn wait(&self, options: i32) -> Option<Ended> {
        let mut status = 0;
        // SAFETY: the status is written to what is there for it.
        let found = unsafe { libc::waitpid(self.id, &raw mut status, options) };
        (found == self.id).then(|| match libc::WIFSIGNALED(status) {
            true => Ended::Signal(libc::WTERMSIG(status)),
            false => Ended::Code(libc::WEXITSTATUS(status)),
        })
    }

    /// What it said.
    pub fn output(&mut self) -> String {
        let mut said = Vec::new();
        let read = self
            .output
            .rewind()
            .and_then(|()| self.output.read_to_end(&mut said));
        match read {
            Ok(_) => String::from_utf8_lossy(&said).into_owned(),
            Err(error) => error.to_string(),
        }
    }
}

fn nameless() -> io::Result<OwnedFd> {
    // SAFETY: the name is a text that ends with a zero.
    let file = unsafe { libc::memfd_create(c"octa-fuzz".as_ptr(), libc::MFD_CLOEXEC) };
    if file < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was opened just now, and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(file) })
}
