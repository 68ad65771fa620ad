//! When it is killed, and what.

use std::fmt;

use crate::random::Random;

/// What is going on at the moment of a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// Many writers write.
    Load,
    /// The database is opened, and what the last crash left is recovered.
    Opening,
    /// A backup is made, beside the writers.
    Backup,
    /// Events are published that others have left, and those of now; each is told before it is forgotten.
    Telling,
    /// A standby follows the writers.
    Standby,
    /// The writers write, and it is the server that is killed and started again; later the kernel.
    Server,
    /// The server is killed, and the kernel while it is down.
    Both,
}

/// Moments for a file, as often as they stand here.
const FILE: [Moment; 10] = [
    Moment::Load,
    Moment::Opening,
    Moment::Standby,
    Moment::Backup,
    Moment::Telling,
    Moment::Load,
    Moment::Standby,
    Moment::Opening,
    Moment::Load,
    Moment::Backup,
];
/// The same for a server.
const SERVER: [Moment; 7] = [
    Moment::Load,
    Moment::Server,
    Moment::Telling,
    Moment::Opening,
    Moment::Both,
    Moment::Backup,
    Moment::Server,
];

impl Moment {
    /// The moment of the kill with this number: all of them come soon, in an order that differs.
    pub(crate) fn choose(is_server: bool, number: u32, random: &mut Random) -> Self {
        let all: &[Self] = if is_server { &SERVER } else { &FILE };
        match random.one_in(3) {
            true => all[usize::try_from(random.below(all.len() as u64)).unwrap_or(0)],
            false => all[number as usize % all.len()],
        }
    }

    /// How many processes are killed.
    pub(crate) fn kills(self) -> u32 {
        match self {
            Self::Server | Self::Both => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "under load",
            Self::Opening => "while it opens",
            Self::Backup => "during a backup",
            Self::Telling => "while events are published",
            Self::Standby => "while a standby follows",
            Self::Server => "the server, then the kernel",
            Self::Both => "the kernel while the server is down",
        })
    }
}
