//! What a confined process tries, by name.

use std::{
    env, fs,
    fs::{File, OpenOptions},
    io::{self, Write},
    mem,
    net::{TcpListener, UdpSocket},
    num::NonZero,
    os::unix::{
        fs::{PermissionsExt, chown},
        net::{UnixDatagram, UnixStream},
        process::{CommandExt, parent_id},
    },
    path::Path,
    process::{self, Command},
    sync::{Barrier, mpsc},
    thread,
};

use libc::{c_int, c_long};
use rustix::process::{
    DumpableBehavior, Resource, Signal, dumpable_behavior, getrlimit, parent_process_death_signal,
};

use crate::confine::calls::refused::whatever_the_arguments;

type Probe = fn(&Path) -> io::Result<()>;

const PROBES: &[(&str, Probe)] = &[
    ("nothing", |_| Ok(())),
    ("fork", |_| child(FORK, 0)),
    ("clone", |_| child(libc::SYS_clone, libc::SIGCHLD.into())),
    ("clone3", |_| call(libc::SYS_clone3, [0; 6])),
    ("namespace", |_| {
        child(
            libc::SYS_clone,
            c_long::from(libc::CLONE_NEWUSER | libc::SIGCHLD),
        )
    }),
    ("spawn", |path| Command::new(path).status().map(drop)),
    ("exec", exec),
    ("exec of a file", |_| call(libc::SYS_execveat, [0; 6])),
    ("session", |_| call(libc::SYS_setsid, [0; 6])),
    ("group", |_| call(libc::SYS_setpgid, [0; 6])),
    ("end a child", end_a_child),
    ("signal itself", |_| {
        call(libc::SYS_kill, [own(), 0, 0, 0, 0, 0])
    }),
    ("signal the parent", |_| {
        call(libc::SYS_kill, [parent(), 0, 0, 0, 0, 0])
    }),
    ("queue a signal to the parent", queue),
    ("signal a thread", |_| {
        call(libc::SYS_tkill, [own(), libc::SIGCONT.into(), 0, 0, 0, 0])
    }),
    ("own a file by the parent", own_by_parent),
    ("slow the parent", |_| {
        call(libc::SYS_setpriority, [0, parent(), 0, 0, 0, 0])
    }),
    ("slow the group", |_| {
        // Which nobody leads.
        call(libc::SYS_setpriority, [PRIO_PGRP, own(), 0, 0, 0, 0])
    }),
    ("schedule the parent", schedule_parent),
    ("own a file by anybody", |_| {
        call(libc::SYS_fcntl, [0, F_SETOWN_EX, 0, 0, 0, 0])
    }),
    ("limit the parent", limit_parent),
    ("be traced", |_| {
        call(
            libc::SYS_ptrace,
            [libc::PTRACE_TRACEME.into(), 0, 0, 0, 0, 0],
        )
    }),
    ("allow tracing", |_| prctl(libc::PR_SET_DUMPABLE, 1)),
    ("outlive the kernel", |_| prctl(libc::PR_SET_PDEATHSIG, 0)),
    ("end with the kernel", end_with_the_kernel),
    ("share memory", |_| {
        call(libc::SYS_shmget, [0, 4096, 0o600, 0, 0, 0])
    }),
    ("unshare", |_| {
        call(
            libc::SYS_unshare,
            [libc::CLONE_NEWUSER.into(), 0, 0, 0, 0, 0],
        )
    }),
    ("mount", |_| call(libc::SYS_mount, [0; 6])),
    ("keys", |_| call(libc::SYS_keyctl, [0; 6])),
    ("set the clock", |_| call(libc::SYS_clock_settime, [0; 6])),
    ("type", |_| {
        call(libc::SYS_ioctl, [0, libc::TIOCSTI as c_long, 0, 0, 0, 0])
    }),
    ("rings", |_| call(libc::SYS_io_uring_setup, [0; 6])),
    ("the list", the_list),
    ("other numbers", other_numbers),
    ("tcp", |_| TcpListener::bind("127.0.0.1:0").map(drop)),
    ("udp", |_| UdpSocket::bind("127.0.0.1:0").map(drop)),
    ("routes", |_| {
        call(
            libc::SYS_socket,
            [libc::AF_NETLINK.into(), libc::SOCK_RAW.into(), 0, 0, 0, 0],
        )
    }),
    ("pair", |_| UnixStream::pair().map(drop)),
    ("pair of others", |_| {
        call(libc::SYS_socketpair, [libc::AF_INET.into(), 0, 0, 0, 0, 0])
    }),
    ("datagrams", |_| UnixDatagram::pair().map(drop)),
    ("connect", |path| UnixStream::connect(path).map(drop)),
    ("read", |path| fs::read(path).map(drop)),
    ("read in a thread", |path| {
        thread::scope(|s| s.spawn(|| fs::read(path).map(drop)).join().unwrap())
    }),
    ("spawn in a thread", |path| {
        thread::scope(|s| {
            s.spawn(|| Command::new(path).status().map(drop))
                .join()
                .unwrap()
        })
    }),
    ("list", |path| fs::read_dir(path).map(drop)),
    ("write", |path| {
        OpenOptions::new().write(true).open(path).map(drop)
    }),
    ("create", create),
    ("rename", rename),
    ("remove", remove),
    ("mode", |path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777))
    }),
    ("give", |path| chown(path, Some(1), Some(1))),
    ("library", library),
    ("threads", threads),
    ("threads that allocate", threads_that_allocate),
    ("no core file", no_core_file),
    ("hidden", hidden),
    ("the basics", basics),
    ("itself", itself),
    ("abort", |_| process::abort()),
    ("allocate 1 GiB", |_| allocate(1 << 30)),
    ("open 64 files", open_files),
    ("raise a limit", raise),
    ("burn", |_| {
        loop {
            std::hint::spin_loop();
        }
    }),
];

/// `ok` or the name of the error.
pub(super) fn run(name: &str, argument: &Path) -> String {
    let (_, probe) = PROBES.iter().find(|(known, _)| *known == name).unwrap();
    let Err(error) = probe(argument) else {
        return "ok".to_owned();
    };
    let names = [
        (libc::EPERM, "EPERM"),
        (libc::EACCES, "EACCES"),
        (libc::ENOSYS, "ENOSYS"),
        (libc::ENOMEM, "ENOMEM"),
        (libc::EMFILE, "EMFILE"),
    ];
    let known = names
        .iter()
        .find(|(errno, _)| error.raw_os_error() == Some(*errno));
    known.map_or_else(|| error.to_string(), |(_, name)| (*name).to_owned())
}

#[cfg(target_arch = "x86_64")]
const FORK: c_long = libc::SYS_fork;
#[cfg(not(target_arch = "x86_64"))]
const FORK: c_long = libc::SYS_clone;

const PRIO_PGRP: c_long = 1;
const F_SETOWN_EX: c_long = 15;

fn own() -> c_long {
    process::id().into()
}

fn parent() -> c_long {
    parent_id().into()
}

/// The calls that are made with it read no memory, or memory that outlives it.
fn call(number: c_long, [a, b, c, d, e, f]: [c_long; 6]) -> io::Result<()> {
    answer(number, [a, b, c, d, e, f]).map(drop)
}

fn answer(number: c_long, [a, b, c, d, e, f]: [c_long; 6]) -> io::Result<c_long> {
    #[expect(
        unsafe_code,
        reason = "no safe interface makes a call that is meant to be refused"
    )]
    // SAFETY: the numbers and the null pointers of the probes are valid or refused by the system;
    // pointers that are not null come from references that outlive the call.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(answer)
}

fn prctl(option: c_int, value: c_long) -> io::Result<()> {
    call(libc::SYS_prctl, [option.into(), value, 0, 0, 0, 0])
}

/// A child that ends at once.
fn child(number: c_long, flags: c_long) -> io::Result<()> {
    let flags = if number == libc::SYS_clone && flags == 0 {
        libc::SIGCHLD.into()
    } else {
        flags
    };
    if answer(number, [flags, 0, 0, 0, 0, 0])? == 0 {
        #[expect(unsafe_code, reason = "the child of a fork may do no more than this")]
        // SAFETY: `_exit` ends the process without running anything of it.
        unsafe {
            libc::_exit(0)
        }
    }
    Ok(())
}

fn end_with_the_kernel(_: &Path) -> io::Result<()> {
    match parent_process_death_signal()? {
        Some(Signal::KILL) => Ok(()),
        signal => Err(io::Error::other(format!("{signal:?}"))),
    }
}

fn exec(path: &Path) -> io::Result<()> {
    // Where it works there is nobody left to tell: the new program does.
    let script = "echo report=ok";
    Err(Command::new("/bin/sh")
        .arg("-c")
        .arg(script)
        .arg(path)
        .exec())
}

fn end_a_child(path: &Path) -> io::Result<()> {
    let mut child = Command::new(path).arg("1000").spawn()?;
    child.kill()?;
    child.wait().map(drop)
}

fn queue(_: &Path) -> io::Result<()> {
    #[expect(unsafe_code, reason = "it is made of zeros, as its documentation asks")]
    // SAFETY: `siginfo_t` is plain numbers.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    info.si_code = libc::SI_QUEUE;
    let info = (&raw const info) as c_long;
    call(libc::SYS_rt_sigqueueinfo, [parent(), 0, info, 0, 0, 0])
}

fn own_by_parent(_: &Path) -> io::Result<()> {
    call(
        libc::SYS_fcntl,
        [0, libc::F_SETOWN.into(), parent(), 0, 0, 0],
    )
}

fn schedule_parent(_: &Path) -> io::Result<()> {
    let priority: c_int = 0;
    let parameters = (&raw const priority) as c_long;
    let policy = libc::SCHED_OTHER.into();
    call(
        libc::SYS_sched_setscheduler,
        [parent(), policy, parameters, 0, 0, 0],
    )
}

fn limit_parent(_: &Path) -> io::Result<()> {
    // As many as it can count: no limit.
    let limit = [u64::MAX; 2];
    let new = (&raw const limit) as c_long;
    call(
        libc::SYS_prlimit64,
        [parent(), libc::RLIMIT_RTTIME.into(), new, 0, 0, 0],
    )
}

/// The first answer that is not EPERM, or EPERM.
fn the_list(_: &Path) -> io::Result<()> {
    for number in whatever_the_arguments() {
        let error = call(number, [0; 6]).err();
        if error.as_ref().and_then(io::Error::raw_os_error) != Some(libc::EPERM) {
            return Err(io::Error::other(format!("{number}: {error:?}")));
        }
    }
    Err(io::Error::from_raw_os_error(libc::EPERM))
}

fn other_numbers(_: &Path) -> io::Result<()> {
    const X32: c_long = 0x4000_0000;
    // There are none elsewhere, nor anything to refuse.
    if cfg!(not(target_arch = "x86_64")) {
        return Err(io::Error::from_raw_os_error(libc::EPERM));
    }
    call(X32 | libc::SYS_getpid, [0; 6])
}

fn create(path: &Path) -> io::Result<()> {
    File::create_new(path)?.write_all(b"content")?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    fs::remove_file(path)
}

fn rename(path: &Path) -> io::Result<()> {
    let directory = path.with_extension("directory");
    fs::create_dir(&directory)?;
    let inner = directory.join("file");
    fs::write(path, "content")?;
    fs::rename(path, &inner)?;
    fs::remove_file(inner)?;
    fs::remove_dir(directory)
}

/// And puts it back, for who comes next.
fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    fs::write(path, "content")?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777))
}

fn library(path: &Path) -> io::Result<()> {
    let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes())?;
    #[expect(unsafe_code, reason = "opening a library runs its code")]
    // SAFETY: the name ends with a zero; the library is one of the C library's own.
    let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
    if library.is_null() {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    Ok(())
}

fn threads(_: &Path) -> io::Result<()> {
    let (send, receive) = mpsc::channel();
    let mut threads = Vec::new();
    for number in 0_u64..8 {
        let send = send.clone();
        let body = move || send.send(vec![number; 100_000]).unwrap();
        threads.push(thread::Builder::new().spawn(body)?);
    }
    drop(send);
    let sum: u64 = receive.iter().map(|numbers| numbers[0]).sum();
    assert_eq!(sum, 28);
    for thread in threads {
        thread.join().unwrap();
    }
    Ok(())
}

/// As many as have an arena of their own, and then half of the memory that they are granted.
fn threads_that_allocate(_: &Path) -> io::Result<()> {
    const THREADS: usize = 8;
    let barrier = Barrier::new(THREADS + 1);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let held = std::hint::black_box(vec![1_u8; 1_000]);
                barrier.wait();
                barrier.wait();
                drop(held);
            });
        }
        barrier.wait();
        let allocated = allocate(256 << 20);
        barrier.wait();
        allocated
    })
}

fn no_core_file(_: &Path) -> io::Result<()> {
    let limit = getrlimit(Resource::Core);
    let none = (limit.current, limit.maximum) == (Some(0), Some(0));
    none.then_some(())
        .ok_or_else(|| io::Error::other("there may be one"))
}

fn hidden(_: &Path) -> io::Result<()> {
    let hidden = matches!(dumpable_behavior()?, DumpableBehavior::NotDumpable);
    hidden
        .then_some(())
        .ok_or_else(|| io::Error::other("not hidden"))
}

fn basics(_: &Path) -> io::Result<()> {
    File::open("/dev/urandom")?;
    fs::write("/dev/null", "nothing")?;
    let _ = thread::available_parallelism().map(NonZero::get)?;
    let sum: usize = std::collections::HashMap::from([(1, 2), (3, 4)])
        .values()
        .sum();
    assert_eq!(sum, 6);
    Ok(())
}

fn itself(_: &Path) -> io::Result<()> {
    fs::read_to_string("/proc/self/maps")?;
    fs::read_dir("/proc/self/task")?;
    fs::read_to_string("/proc/thread-self/comm")?;
    env::current_exe()?;
    held()
}

/// The entry is kept open, else the system may forget it.
fn held() -> io::Result<()> {
    let entry = Path::new("/proc").join(process::id().to_string());
    let target = |file: io::Result<fs::DirEntry>| fs::read_link(file.ok()?.path()).ok();
    let mut files = fs::read_dir("/proc/self/fd")?.filter_map(target);
    let held = files.any(|target| target == entry);
    held.then_some(()).ok_or(io::ErrorKind::NotFound.into())
}

fn allocate(bytes: usize) -> io::Result<()> {
    let mut vec = Vec::<u8>::new();
    let reserved = vec.try_reserve_exact(bytes);
    reserved.map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
    std::hint::black_box(&mut vec);
    Ok(())
}

fn open_files(_: &Path) -> io::Result<()> {
    let open = |_| File::open("/dev/null");
    (0..64).map(open).collect::<io::Result<Vec<_>>>().map(drop)
}

fn raise(_: &Path) -> io::Result<()> {
    let limit = [64_u64; 2];
    let new = (&raw const limit) as c_long;
    call(
        libc::SYS_prlimit64,
        [0, libc::RLIMIT_NOFILE.into(), new, 0, 0, 0],
    )
}
