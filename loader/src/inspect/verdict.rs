//! Whether this host may run what was inspected.
//!
//! Only what the file itself decides: permissions, dependencies and configuration are the
//! kernel's.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::Inspection;
use super::machine::Machine;
use crate::manifest::{AbiVersion, PanicStrategy};

/// What a host has to offer a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostFacts {
    /// The machine that it runs on.
    pub machine: Machine,
    /// The operating system that it runs on.
    pub system: System,
    /// Major version of the ABI that it speaks.
    pub abi_major: u32,
    /// True if a plugin that ends its process ends the kernel.
    pub in_process: bool,
}

impl HostFacts {
    /// This process, with plugins inside the kernel.
    pub fn in_process(abi_major: u32) -> Self {
        HostFacts {
            machine: Machine::HOST,
            system: System::HOST,
            abi_major,
            in_process: true,
        }
    }

    /// The same machine, with plugins in a child process of their own.
    pub fn child_process(abi_major: u32) -> Self {
        HostFacts {
            in_process: false,
            ..HostFacts::in_process(abi_major)
        }
    }
}

/// An operating system and the environment of its programs, as the end of a target triple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct System {
    /// `linux`, `darwin`, `windows` and so on.
    pub os: &'static str,
    /// The C library or compiler (`gnu`, `musl`, `msvc`), or empty.
    pub environment: &'static str,
}

impl System {
    /// The system that this code was compiled for.
    pub const HOST: System = System {
        os: if cfg!(target_os = "macos") {
            "darwin"
        } else {
            std::env::consts::OS
        },
        environment: if cfg!(target_env = "gnu") {
            "gnu"
        } else if cfg!(target_env = "musl") {
            "musl"
        } else if cfg!(target_env = "msvc") {
            "msvc"
        } else {
            ""
        },
    };

    /// True if `target` is a triple of this system, whatever its processor and vendor.
    pub fn runs(&self, target: &str) -> bool {
        let last = target.rsplit('-').next().unwrap_or_default();
        // An ABI may follow the environment: `gnueabihf`.
        target.split('-').any(|part| part == self.os) && last.starts_with(self.environment)
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.environment {
            "" => f.write_str(self.os),
            environment => write!(f, "{}-{environment}", self.os),
        }
    }
}

impl Inspection {
    /// Says whether `host` may load the file.
    ///
    /// # Errors
    /// Names the first reason why it may not.
    pub fn verdict(&self, host: &HostFacts) -> Result<(), Refusal> {
        let manifest = &self.manifest;
        let name = || manifest.name.clone();
        if self.machine != host.machine {
            return Err(Refusal::OtherMachine {
                path: self.path.clone(),
                found: self.machine,
                expected: host.machine,
            });
        }
        if !host.system.runs(&manifest.target) {
            return Err(Refusal::OtherTarget {
                name: name(),
                found: manifest.target.clone(),
                expected: host.system,
            });
        }
        if manifest.abi.major != host.abi_major {
            return Err(Refusal::OtherAbi {
                name: name(),
                found: manifest.abi,
                expected: host.abi_major,
            });
        }
        if host.in_process && manifest.panic == PanicStrategy::Abort {
            return Err(Refusal::PanicAborts { name: name() });
        }
        Ok(())
    }
}

/// Why a host may not load a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It was compiled for another processor or format.
    #[error("file `{}` is for another machine: found {found}, expected {expected}", path.display())]
    OtherMachine {
        /// The file.
        path: PathBuf,
        /// What it was compiled for.
        found: Machine,
        /// What the host is.
        expected: Machine,
    },
    /// It was compiled for another operating system or C library.
    #[error("plugin `{name}` was built for `{found}`, expected a target of `{expected}`")]
    OtherTarget {
        /// The plugin.
        name: String,
        /// The triple that it was compiled for.
        found: String,
        /// What the host is.
        expected: System,
    },
    /// It speaks another ABI.
    #[error("plugin `{name}` speaks ABI {found}, this host speaks ABI {expected}.x")]
    OtherAbi {
        /// The plugin.
        name: String,
        /// The ABI that it was built against.
        found: AbiVersion,
        /// Major version of the host's.
        expected: u32,
    },
    /// Its panics would end the kernel.
    #[error("plugin `{name}` was built with panic `abort`, expected `unwind` in this process")]
    PanicAborts {
        /// The plugin.
        name: String,
    },
}

impl Refusal {
    /// Says what the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Refusal::OtherMachine { .. } => {
                "build the plugin for this machine, without `--target` or with the right one"
                    .to_owned()
            }
            Refusal::OtherTarget { expected, .. } => {
                format!("build the plugin with a `--target` that ends in `{expected}`")
            }
            Refusal::OtherAbi {
                found, expected, ..
            } if found.major > *expected => {
                "update this host, or build the plugin with an older plugin API".to_owned()
            }
            Refusal::OtherAbi { .. } => {
                "build the plugin again with the plugin API of this host".to_owned()
            }
            Refusal::PanicAborts { .. } => {
                "remove `panic = \"abort\"` from the profile that the plugin is built with"
                    .to_owned()
            }
        })
    }
}
