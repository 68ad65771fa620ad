//! Which files this process may reach, with Landlock; and of that which signals and sockets leave
//! it, where the system's version can tell.
//!
//! Metadata is out of its scope: whoever may search a directory sees names, sizes and times.

use std::{
    env, fs, io,
    os::{fd::OwnedFd, unix::fs::FileTypeExt},
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, RestrictSelfAttr,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError,
    Scope, make_bitflags,
};
use octa_wire::{Confinement, Hello, Sandbox};
use rustix::fs::{Mode, OFlags};

use super::{ConfineError, privileges::other_threads};

/// What is known here; what the system knows of it is enforced.
const ABI_KNOWN: ABI = ABI::V9;

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// Where systems keep libraries, and what the dynamic linker reads to find them.
const LIBRARIES: [&str; 9] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
];

/// What the standard libraries of Rust and C read of their own accord, and nobody can hide in.
const BASICS: [&str; 6] = [
    "/dev/random",
    "/dev/urandom",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/sys/devices/system/cpu",
    // For `available_parallelism`.
    "/sys/fs/cgroup",
];

const SINKS: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];

/// What finds the addresses of names, and the certificates of servers.
const NETWORK: [&str; 9] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
];

/// Programs, and what they bring along.
const PROGRAMS: [&str; 3] = ["/bin", "/sbin", "/usr"];

/// Restricts this process, and answers whether it may have sockets of Unix: where one such socket
/// cannot be told from another, only who is granted one has any.
pub(super) fn restrict(hello: &Hello, confinement: &mut Confinement) -> Result<bool, ConfineError> {
    let others = other_threads();
    let rules = grant(hello, rules(&hello.sandbox).map_err(refused)?)?;
    let status = rules.restrict_self().map_err(refused)?;
    let granted = hello.sandbox.write.iter().any(|path| is_socket(path));
    let abi = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => effective_abi,
        LandlockStatus::NotEnabled => {
            let why = "files: Landlock is not enabled in this system";
            confinement.missing.push(why.to_owned());
            return Ok(granted);
        }
        LandlockStatus::NotImplemented => {
            let why = "files: this system has no Landlock";
            confinement.missing.push(why.to_owned());
            return Ok(granted);
        }
    };
    let what = format!("no files but those granted (Landlock {abi})");
    confinement.enforced.push(what);
    confinement
        .missing
        .extend(lacking(abi, &hello.sandbox, granted));
    confinement.missing.extend(left_out(&status, others));
    Ok(granted || abi >= ABI::V9)
}

fn refused(error: RulesetError) -> ConfineError {
    ConfineError::step("restrict its files", error)
}

/// What is refused unless it is granted: as much as the system knows.
fn rules(sandbox: &Sandbox) -> Result<RulesetCreated, RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI_KNOWN))?
        .scope(Scope::from_all(ABI_KNOWN))?;
    if !sandbox.network {
        rules = rules.handle_access(AccessNet::from_all(ABI_KNOWN))?;
    }
    rules.create()?.all_threads(true)
}

fn grant(hello: &Hello, mut rules: RulesetCreated) -> Result<RulesetCreated, ConfineError> {
    let sandbox = &hello.sandbox;
    let read = match sandbox.exec {
        true => READ | AccessFs::Execute,
        false => READ,
    };
    let write = read | AccessFs::from_write(ABI_KNOWN);
    let write = write & !make_bitflags!(AccessFs::{MakeChar | MakeBlock});
    for (list, paths, access) in [
        ("libraries", &hello.libraries, read),
        ("read", &sandbox.read, read),
        ("write", &sandbox.write, write),
    ] {
        for path in paths {
            let place = open(path).map_err(|reason| ConfineError::Granted {
                list,
                path: path.clone(),
                reason,
            })?;
            rules = rules
                .add_rule(PathBeneath::new(&place, access))
                .map_err(refused)?;
        }
    }
    for (path, access) in system(sandbox, read) {
        if let Ok(place) = open(&path) {
            rules = rules
                .add_rule(PathBeneath::new(&place, access))
                .map_err(refused)?;
        }
    }
    grant_itself(rules)
}

/// The process' own entry in `/proc`.
fn grant_itself(rules: RulesetCreated) -> Result<RulesetCreated, ConfineError> {
    let Ok(place) = open(Path::new("/proc/self")) else {
        return Ok(rules);
    };
    let rules = rules
        .add_rule(PathBeneath::new(&place, READ))
        .map_err(refused)?;
    // Open to the end: the system forgets an entry of `/proc` that nobody uses, and makes another
    // one when it is asked for again, which the rule does not mean.
    std::mem::forget(place);
    Ok(rules)
}

/// What is granted of the system, as far as it is there.
fn system(sandbox: &Sandbox, read: BitFlags<AccessFs>) -> Vec<(PathBuf, BitFlags<AccessFs>)> {
    let all = |paths: &[&str], access| {
        let granted = paths.iter().map(|path| (PathBuf::from(path), access));
        granted.collect::<Vec<_>>()
    };
    let mut granted = all(&LIBRARIES, read);
    granted.extend(linker_paths().into_iter().map(|path| (path, read)));
    granted.extend(all(&BASICS, READ));
    granted.extend(all(&SINKS, READ | AccessFs::WriteFile));
    if sandbox.network {
        granted.extend(all(&NETWORK, READ));
        granted.extend(resolver().map(|path| (path, READ)));
    }
    if sandbox.exec {
        granted.extend(all(&PROGRAMS, read));
    }
    granted
}

/// Where the dynamic linker of this process was told to look first.
fn linker_paths() -> Vec<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "it is the linker's own, and it reads it there"
    )]
    let paths = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    env::split_paths(&paths)
        .filter(|path| path.is_absolute())
        .collect()
}

/// Where `resolv.conf` lies if it is a link: who writes it replaces the file, and a rule means the
/// one that was there.
fn resolver() -> Option<PathBuf> {
    let file = fs::canonicalize("/etc/resolv.conf").ok()?;
    let directory = file.parent()?;
    (directory != Path::new("/etc")).then(|| directory.to_owned())
}

/// Opens nothing but the place itself: no device wakes up, and no permission to read is needed.
fn open(path: &Path) -> io::Result<OwnedFd> {
    let place = OFlags::PATH | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, place, Mode::empty())?)
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

/// What this version cannot tell apart, and no other part of the sandbox refuses.
fn lacking(abi: ABI, sandbox: &Sandbox, unix_sockets: bool) -> Vec<String> {
    let table = [
        (true, ABI::V3, "truncating files that are not granted"),
        (
            true,
            ABI::V5,
            "device commands on files granted for reading",
        ),
        (sandbox.exec, ABI::V6, "signals to other processes"),
        (unix_sockets, ABI::V6, "Unix sockets without a file"),
        (
            unix_sockets,
            ABI::V9,
            "Unix sockets with a file that is not granted",
        ),
    ];
    table
        .into_iter()
        .filter(|(matters, needed, _)| *matters && abi < *needed)
        .map(|(_, needed, what)| format!("{what}: needs Landlock {needed}, this system has {abi}"))
        .collect()
}

fn left_out(status: &RestrictionStatus, others: Option<usize>) -> Option<String> {
    let others = others.filter(|_| !status.all_threads)?;
    Some(format!("threads: {others} that ran before reach all files"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(abi: ABI, sandbox: &Sandbox, unix_sockets: bool, expect: &[&str]) {
        let lacking = lacking(abi, sandbox, unix_sockets);
        let found: Vec<_> = lacking
            .iter()
            .filter_map(|phrase| phrase.split(": ").next())
            .collect();
        assert_eq!(found, expect, "{abi}");
    }

    #[test]
    fn an_old_version_says_what_it_lacks() {
        let (truncate, device, signals, no_file, file) = (
            "truncating files that are not granted",
            "device commands on files granted for reading",
            "signals to other processes",
            "Unix sockets without a file",
            "Unix sockets with a file that is not granted",
        );
        let plain = Sandbox::default();
        let exec = Sandbox {
            exec: true,
            ..Sandbox::default()
        };
        check(
            ABI::V1,
            &exec,
            true,
            &[truncate, device, signals, no_file, file],
        );
        check(ABI::V2, &plain, false, &[truncate, device]);
        check(ABI::V3, &plain, false, &[device]);
        check(ABI::V5, &plain, false, &[]);
        check(ABI::V5, &exec, false, &[signals]);
        check(ABI::V6, &exec, true, &[file]);
        check(ABI::V9, &exec, true, &[]);
        let phrases = lacking(ABI::V4, &plain, false);
        let expect =
            "device commands on files granted for reading: needs Landlock 5, this system has 4";
        assert_eq!(phrases, [expect]);
    }
}
