//! Who runs a server: PostgreSQL refuses root, so root hands it to a user without rights.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Whom root tries, in this order.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// The user of a server's processes and files.
#[derive(Debug)]
pub(super) enum Owner {
    /// The user of this process.
    Us,
    /// Another one, whom root may become.
    Other { uid: u32, gid: u32 },
}

impl Owner {
    pub(super) fn choose() -> io::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Us);
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let found = USERS.iter().find_map(|name| other(&users, name));
        found.ok_or_else(|| io::Error::other("neither `postgres` nor `nobody` is in `/etc/passwd`"))
    }

    /// Lets a program be run by this user.
    pub(super) fn run(&self, command: &mut Command) {
        if let Self::Other { uid, gid } = self {
            command.uid(*uid).gid(*gid);
        }
    }

    /// Gives a file or directory to this user.
    pub(super) fn take(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Us => Ok(()),
            Self::Other { uid, gid } => chown(path, Some(*uid), Some(*gid)),
        }
    }
}

fn other(users: &str, name: &str) -> Option<Owner> {
    let mut fields = users
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
    let _password = fields.next()?;
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Owner::Other { uid, gid })
}
