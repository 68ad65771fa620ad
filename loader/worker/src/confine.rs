//! What this process may use and reach of the system, settled before anything of a plugin runs:
//! limits, and on Linux privileges, Landlock and seccomp. Nothing of it can be taken back, by the
//! plugins or by us.
//!
//! What has no part here is what the kernel grants of itself; that it checks at its own end.

use std::{error::Error, io, path::PathBuf};

use octa_wire::{Confinement, Hello};

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod files;
mod limits;
#[cfg(target_os = "linux")]
mod privileges;

#[cfg(all(test, target_os = "linux"))]
mod tests;

/// Why a process cannot be confined as its [`Hello`] says. Each is one line with its reason: it
/// goes to the kernel's log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ConfineError {
    /// The system does not allow a limit so high.
    #[error("the limit `{limit}` is {wanted}, the system allows {}", at_most(*allowed))]
    Limit {
        /// Its name in the configuration.
        limit: &'static str,
        /// What is asked for.
        wanted: u64,
        /// The hard limit of this process, if it has one.
        allowed: Option<u64>,
    },
    /// The process has more than its limit already.
    #[error("the limit `{limit}` is {wanted}, the process has {used} before it opens a plugin")]
    Used {
        /// Its name in the configuration.
        limit: &'static str,
        /// What is asked for.
        wanted: u64,
        /// What it has.
        used: u64,
    },
    /// A path that is granted is not there.
    #[error("`{}`, which `{list}` grants, cannot be opened: {reason}", path.display())]
    Granted {
        /// Where it is granted.
        list: &'static str,
        /// What is granted.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// The system refuses a step that it offers.
    #[error("the system does not let the process {step}: {reason}")]
    Step {
        /// What it refuses.
        step: &'static str,
        /// What it says.
        reason: Box<dyn Error + Send + Sync>,
    },
    /// Something cannot be enforced here, and all of it must be.
    #[error("not enforced here: {}", missing.join("; "))]
    Strict {
        /// What, one phrase each.
        missing: Vec<String>,
    },
}

fn at_most(allowed: Option<u64>) -> String {
    allowed.map_or_else(|| "less".to_owned(), |most| format!("at most {most}"))
}

impl ConfineError {
    /// The way out.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Limit { limit, .. } => {
                return Some(format!(
                    "lower `{limit}` in `limits` of the plugin, or raise the hard limit of the \
                     process that runs the kernel"
                ));
            }
            Self::Used { limit, .. } => {
                return Some(format!("raise `{limit}` in `limits` of the plugin"));
            }
            Self::Granted { list, .. } if *list == "libraries" => return None,
            Self::Granted { list, .. } => {
                return Some(format!("create it, or take it out of `{list}`"));
            }
            Self::Step { .. } => "`sandbox = { off = true }` runs the plugin with its limits only",
            Self::Strict { .. } => {
                "without `strict` in `sandbox` of the plugin, it runs with what can be enforced"
            }
        };
        Some(hint.to_owned())
    }

    #[cfg(target_os = "linux")]
    fn step(step: &'static str, reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let reason = reason.into();
        Self::Step { step, reason }
    }
}

/// Confines this process as `hello` says, and answers what of that is in force.
///
/// To be called while the process has one thread: all that are started later are confined with it.
/// With more, what the system cannot apply to the others is among what is missing.
///
/// # Errors
///
/// The process may then be confined in part, and is to end.
pub(crate) fn apply(hello: &Hello) -> Result<Confinement, ConfineError> {
    let mut confinement = Confinement::default();
    // First, since raising a limit may need a privilege.
    limits::apply(&hello.limits, &mut confinement)?;
    if hello.sandbox.off {
        return Ok(confinement);
    }
    sandbox(hello, &mut confinement)?;
    if hello.sandbox.strict && !confinement.missing.is_empty() {
        let missing = confinement.missing;
        return Err(ConfineError::Strict { missing });
    }
    Ok(confinement)
}

#[cfg(target_os = "linux")]
fn sandbox(hello: &Hello, confinement: &mut Confinement) -> Result<(), ConfineError> {
    privileges::drop(hello, confinement)?;
    let unix_sockets = files::restrict(hello, confinement)?;
    // Last: from here on this process is refused what the steps before needed.
    calls::refuse(&hello.sandbox, unix_sockets, confinement);
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn sandbox(_: &Hello, confinement: &mut Confinement) -> Result<(), ConfineError> {
    let system = std::env::consts::OS;
    let missing = format!("the sandbox: there is one on Linux only, this is {system}");
    confinement.missing.push(missing);
    Ok(())
}
