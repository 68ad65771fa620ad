//! Which system calls this process is refused, with seccomp: what makes processes, what reaches
//! into others, what changes the system, and what opens sockets.
//!
//! A list of refusals, not of permissions: a plugin is any native code, and a library that meets a
//! refusal it has never seen ends badly. Most are answered EPERM. What only libraries try, and can
//! do without, is answered ENOSYS, as by an older system.

use octa_wire::{Confinement, Sandbox};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use seccompiler::Error;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod program;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) mod refused;

/// Refuses them to all threads, and says what of it failed.
pub(super) fn refuse(sandbox: &Sandbox, unix_sockets: bool, confinement: &mut Confinement) {
    if let Err(why) = install(sandbox, unix_sockets) {
        let why = format!("system calls: {why}");
        confinement.missing.push(why);
        return;
    }
    let phrases = [
        (
            true,
            "no system calls that reach into other processes or the system (seccomp)",
        ),
        (!sandbox.exec, "no processes of its own (seccomp)"),
        (
            !sandbox.network && unix_sockets,
            "no sockets but those of Unix (seccomp)",
        ),
        (!sandbox.network && !unix_sockets, "no sockets (seccomp)"),
        (
            sandbox.network && !unix_sockets,
            "no sockets of Unix (seccomp)",
        ),
    ];
    let enforced = phrases.into_iter().filter(|(holds, _)| *holds);
    let enforced = enforced.map(|(_, phrase)| phrase.to_owned());
    confinement.enforced.extend(enforced);
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn install(sandbox: &Sandbox, unix_sockets: bool) -> Result<(), String> {
    let refused = refused::refused(sandbox, unix_sockets);
    program::install(&refused).map_err(|error| match error {
        Error::Seccomp(error) => format!("this system takes no filter for them: {error}"),
        error => error.to_string(),
    })
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn install(_: &Sandbox, _: bool) -> Result<(), String> {
    let processor = std::env::consts::ARCH;
    Err(format!("there is no list of them for `{processor}`"))
}
