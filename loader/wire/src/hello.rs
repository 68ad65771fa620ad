//! The first message of each side: who it is, what the worker shall keep to, and what of that it
//! can. JSON, so that any version can read the version of any other.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

/// The version spoken here.
pub const PROTOCOL: ProtocolVersion = ProtocolVersion { major: 1, minor: 0 };

/// A version of the protocol. Another major is another language; a newer minor only knows more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolVersion {
    /// Counts changes that the other side must know of.
    pub major: u32,
    /// Counts additions.
    pub minor: u32,
}

/// A version of the plugin ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbiVersion {
    /// Counts changes that plugins must know of.
    pub major: u32,
    /// Counts additions.
    pub minor: u32,
}

/// What the kernel says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// What it speaks.
    pub protocol: ProtocolVersion,
    /// The version of its program.
    pub program: String,
    /// What the process is for: the name of its plugin or group.
    pub name: String,
    /// Bytes of each of the two rings in the shared memory that the worker inherited; 0 for none.
    pub ring_bytes: u64,
    /// What the worker may use.
    #[serde(default)]
    pub limits: Limits,
    /// What its plugins may reach of the system.
    #[serde(default)]
    pub sandbox: Sandbox,
    /// Directories that its libraries are opened from.
    #[serde(default)]
    pub libraries: Vec<PathBuf>,
}

/// What the worker says first: after it has confined itself, and before it opens anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// What it speaks.
    pub protocol: ProtocolVersion,
    /// The version of its program.
    pub program: String,
    /// The plugin ABI that it hosts.
    pub abi: AbiVersion,
    /// Whether it uses the rings; else all goes through the socket.
    pub rings: bool,
    /// What of the limits and the sandbox is in force.
    #[serde(default)]
    pub confinement: Confinement,
}

/// What a process may use; `None` for as much as the kernel's own process.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of address space.
    pub memory: Option<u64>,
    /// Seconds of processor time in its whole life.
    pub cpu_seconds: Option<u64>,
    /// Open files.
    pub open_files: Option<u64>,
    /// Bytes of a core file; none is written by default.
    pub core: Option<u64>,
}

/// What the plugins of a process may reach of the system. By default: their libraries and those of
/// the system, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sandbox {
    /// Nothing is kept from them.
    pub off: bool,
    /// What cannot be enforced here is an error.
    pub strict: bool,
    /// Files and directories that they may read.
    pub read: Vec<PathBuf>,
    /// Files and directories that they may read, write and create in.
    pub write: Vec<PathBuf>,
    /// Sockets other than those of Unix.
    pub network: bool,
    /// Processes: fork and exec.
    pub exec: bool,
}

/// What of the limits and the sandbox is in force.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Confinement {
    /// What is, one phrase each.
    pub enforced: Vec<String>,
    /// What is not and why, one phrase each.
    pub missing: Vec<String>,
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
