//! What the system says of a thread of this process.

use std::fs;

/// What a thread did when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// It runs, or waits for a processor.
    Runs,
    /// It waits: in the system call of this number, if it is one, and with its stack and the next
    /// instruction at these addresses.
    Waits {
        call: Option<u32>,
        stack: usize,
        next: usize,
    },
}

impl Task {
    /// `None` where the system does not tell, or there is no such thread.
    pub(super) fn read(number: u64) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/self/task/{number}/syscall"));
        Self::parse(text.ok()?.trim_end())
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "running" {
            return Some(Self::Runs);
        }
        // The number, six arguments unless that is -1, the stack, and the next instruction.
        let mut words = text.split(' ');
        let call = words.next()?.parse::<i64>().ok()?;
        let mut last = words.rev();
        let mut address = || usize::from_str_radix(last.next()?.strip_prefix("0x")?, 16).ok();
        let (next, stack) = (address()?, address()?);
        Some(Self::Waits {
            call: u32::try_from(call).ok(),
            stack,
            next,
        })
    }

    pub(super) fn is_running(self) -> bool {
        self == Self::Runs
    }

    /// What the system call is called that it waits in.
    pub(super) fn system_call(self) -> Option<String> {
        let Self::Waits {
            call: Some(call), ..
        } = self
        else {
            return None;
        };
        Some(name_of(call).map_or_else(|| format!("number {call}"), str::to_owned))
    }
}

/// The names of the system calls that threads wait in most.
#[cfg(target_env = "gnu")]
fn name_of(number: u32) -> Option<&'static str> {
    macro_rules! names {
        ($($constant:ident => $name:literal,)*) => {
            [$((libc::$constant, $name),)*]
        };
    }
    let names = names! {
        SYS_accept => "accept",
        SYS_accept4 => "accept4",
        SYS_clock_nanosleep => "clock_nanosleep",
        SYS_connect => "connect",
        SYS_epoll_pwait => "epoll_pwait",
        SYS_fcntl => "fcntl",
        SYS_fdatasync => "fdatasync",
        SYS_flock => "flock",
        SYS_fsync => "fsync",
        SYS_futex => "futex",
        SYS_io_uring_enter => "io_uring_enter",
        SYS_ioctl => "ioctl",
        SYS_nanosleep => "nanosleep",
        SYS_openat => "openat",
        SYS_ppoll => "ppoll",
        SYS_pread64 => "pread64",
        SYS_pselect6 => "pselect6",
        SYS_pwrite64 => "pwrite64",
        SYS_read => "read",
        SYS_readv => "readv",
        SYS_recvfrom => "recvfrom",
        SYS_recvmsg => "recvmsg",
        SYS_rt_sigtimedwait => "rt_sigtimedwait",
        SYS_sendmsg => "sendmsg",
        SYS_sendto => "sendto",
        SYS_wait4 => "wait4",
        SYS_waitid => "waitid",
        SYS_write => "write",
        SYS_writev => "writev",
    };
    #[cfg(target_arch = "x86_64")]
    let older = names! {
        SYS_epoll_wait => "epoll_wait",
        SYS_open => "open",
        SYS_pause => "pause",
        SYS_poll => "poll",
        SYS_select => "select",
    };
    #[cfg(not(target_arch = "x86_64"))]
    let older = [];
    let mut all = names.iter().chain(&older);
    all.find(|(it, _)| *it == number as libc::c_long)
        .map(|(_, name)| *name)
}

#[cfg(not(target_env = "gnu"))]
fn name_of(_: u32) -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        let check = |text: &str, expect| assert_eq!(Task::parse(text), expect, "{text}");
        let waits = |call, stack, next| Some(Task::Waits { call, stack, next });
        check("running", Some(Task::Runs));
        check(
            "202 0x1 0x2 0x3 0x4 0x5 0x6 0x7ffd10 0x7f20",
            waits(Some(202), 0x7f_fd10, 0x7f20),
        );
        check("-1 0x7ffd10 0x7f20", waits(None, 0x7f_fd10, 0x7f20));
        check("", None);
        check("202", None);
        check("202 0x1", None);
        check("what 0x1 0x2", None);
    }

    #[test]
    fn a_thread_that_waits_is_seen_waiting() {
        let (tell, told) = std::sync::mpsc::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let number = crate::sys::thread_number().expect("a number");
            tell.send(number).expect("somebody listens");
            let _ = released.recv();
        });
        let number = told.recv().expect("a number");
        let waiting = || Task::read(number).and_then(Task::system_call);
        while waiting().as_deref() != Some("futex") {
            std::thread::yield_now();
        }
        drop(release);
        thread.join().expect("it ends");
        assert_eq!(Task::read(number), None);
    }
}
