//! What this process may use: the limits that the system keeps per process.

use octa_wire::{Confinement, Limits};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::ConfineError;

pub(super) fn apply(limits: &Limits, confinement: &mut Confinement) -> Result<(), ConfineError> {
    let mut enforced = |what: String| confinement.enforced.push(what);
    if let Some(seconds) = limits.cpu_seconds {
        cpu(seconds)?;
        enforced(format!("at most {seconds} s of processor time"));
    }
    if let Some(files) = limits.open_files {
        set("open_files", Resource::Nofile, files, files)?;
        enforced(format!("at most {files} open files"));
    }
    let core = limits.core.unwrap_or(0);
    set("core", Resource::Core, core, core)?;
    enforced(match core {
        0 => "no core file".to_owned(),
        _ => format!("a core file of at most {core} bytes"),
    });
    // Last: from here on an allocation may fail.
    if let Some(bytes) = limits.memory {
        memory(bytes, confinement)?;
    }
    Ok(())
}

/// The signal SIGXCPU at the limit says what happened; who outlives that is killed a second later.
fn cpu(seconds: u64) -> Result<(), ConfineError> {
    let hard = getrlimit(Resource::Cpu).maximum.unwrap_or(u64::MAX);
    let end = seconds.saturating_add(1);
    let maximum = if seconds <= hard { end.min(hard) } else { end };
    set("cpu", Resource::Cpu, seconds, maximum)
}

#[cfg(target_os = "linux")]
fn memory(bytes: u64, confinement: &mut Confinement) -> Result<(), ConfineError> {
    let limit = "memory";
    if let Some(used) = address_space().filter(|used| *used > bytes) {
        return Err(ConfineError::Used {
            limit,
            wanted: bytes,
            used,
        });
    }
    bound_arenas(bytes);
    set(limit, Resource::As, bytes, bytes)?;
    let what = format!("at most {bytes} bytes of address space");
    confinement.enforced.push(what);
    Ok(())
}

/// Others count otherwise or not at all.
#[cfg(not(target_os = "linux"))]
fn memory(_: u64, confinement: &mut Confinement) -> Result<(), ConfineError> {
    let what = "the limit of memory: there is one on Linux only".to_owned();
    confinement.missing.push(what);
    Ok(())
}

#[cfg(target_os = "linux")]
fn address_space() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').next()?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The GNU C library reserves 64 MiB of address space for each thread that allocates, up to eight
/// times the number of processors: a limit would be used up by memory that nobody has.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn bound_arenas(bytes: u64) {
    const ARENA: u64 = 64 << 20;
    // A quarter of the memory at most is reserved so.
    let arenas = (bytes / (4 * ARENA)).clamp(1, 1_024);
    #[expect(unsafe_code, reason = "there is no safe way to tell the C library")]
    // SAFETY: `mallopt` takes two numbers and keeps the second; the call is guarded by a lock of
    // the C library's own. A refusal, 0, leaves what was.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, arenas as libc::c_int);
    }
}

#[cfg(all(target_os = "linux", not(target_env = "gnu")))]
fn bound_arenas(_: u64) {}

fn set(
    limit: &'static str,
    resource: Resource,
    wanted: u64,
    maximum: u64,
) -> Result<(), ConfineError> {
    // Neither can be raised again: the maximum never without a privilege, and none is left.
    let new = Rlimit {
        current: Some(wanted),
        maximum: Some(maximum),
    };
    // It answers nothing else: EPERM, above what this process may have.
    setrlimit(resource, new).map_err(|_| ConfineError::Limit {
        limit,
        wanted,
        allowed: getrlimit(resource).maximum,
    })
}
