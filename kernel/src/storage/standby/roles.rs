//! Decides which of two files is the primary, from what they say of themselves; looking at them is left to `pair`.

use std::cmp::Ordering;
use std::error::Error;
use std::fmt;
use std::path::{Display, Path, PathBuf};

use super::super::OpenError;
use super::super::sqlite::Header;

/// One of the two files that a configuration names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Path,
    Standby,
}

impl Slot {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Path => Self::Standby,
            Self::Standby => Self::Path,
        }
    }
}

/// What is where a file is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Neither the file nor its directory.
    Away,
    /// No file.
    Missing {
        /// Something beside it shows that there was data once.
        traces: bool,
    },
    /// Something that does not tell what it is.
    Unreadable,
    /// A database of ours.
    There(Header),
}

/// Which file is the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Neither is there: a new database begins.
    New,
    /// One of them leads.
    Lead(Slot, Other),
}

/// What the other file is then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Other {
    Absent,
    Standby,
    /// It does not tell: a standby, as far as the one that leads knows.
    Unreadable,
    /// It was the primary before a takeover.
    Former,
}

/// Why it is not clear which file is the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The primary is not there, its standby is.
    NoPrimary { standby: Slot },
    /// Both are standbys.
    TwoStandbys,
    /// Both lead, in the same epoch.
    TwoPrimaries { more: Option<Slot> },
    /// One of them is damaged, or not a database of ours; the other one may be a standby.
    Unreadable { file: Slot, is_other_standby: bool },
    /// They are copies of different databases.
    Strangers,
    /// The standby followed a later primary than the one that is here.
    Stale { primary: Slot },
    /// The standby has changes that the primary does not have.
    Ahead { primary: Slot },
    /// No file is there, but the place of one of them cannot be looked at.
    Away,
    /// No file is there, but traces of one are.
    Gone,
}

/// Decides from what is at the two places.
pub(super) fn decide(path: &Seen, standby: &Seen) -> Result<Decision, Doubt> {
    use Seen::{Away, Missing, There, Unreadable};
    match (path, standby) {
        (There(header), Unreadable) if !header.following => {
            Ok(Decision::Lead(Slot::Path, Other::Unreadable))
        }
        (Unreadable, There(header)) if !header.following => {
            Ok(Decision::Lead(Slot::Standby, Other::Unreadable))
        }
        (Unreadable, other) => Err(unreadable(Slot::Path, other)),
        (other, Unreadable) => Err(unreadable(Slot::Standby, other)),
        (There(path), There(standby)) => between(path, standby),
        (There(header), _) => alone(Slot::Path, header),
        (_, There(header)) => alone(Slot::Standby, header),
        (Missing { traces: true }, _) | (_, Missing { traces: true }) => Err(Doubt::Gone),
        (_, Away) => Err(Doubt::Away),
        // Where the primary is to be, directories are made.
        (Away | Missing { .. }, Missing { .. }) => Ok(Decision::New),
    }
}

fn unreadable(file: Slot, other: &Seen) -> Doubt {
    let is_other_standby = matches!(other, Seen::There(header) if header.following);
    Doubt::Unreadable {
        file,
        is_other_standby,
    }
}

fn alone(slot: Slot, header: &Header) -> Result<Decision, Doubt> {
    if header.following {
        return Err(Doubt::NoPrimary { standby: slot });
    }
    Ok(Decision::Lead(slot, Other::Absent))
}

fn between(path: &Header, standby: &Header) -> Result<Decision, Doubt> {
    if path.id != standby.id {
        return Err(Doubt::Strangers);
    }
    if !path.following && !standby.following && path.epoch == standby.epoch {
        let more = match path.last_version.cmp(&standby.last_version) {
            Ordering::Less => Some(Slot::Standby),
            Ordering::Equal => None,
            Ordering::Greater => Some(Slot::Path),
        };
        return Err(Doubt::TwoPrimaries { more });
    }
    let leads = |header: &Header| (!header.following, header.epoch);
    let (slot, lead, other) = if leads(standby) > leads(path) {
        (Slot::Standby, standby, path)
    } else {
        (Slot::Path, path, standby)
    };
    if lead.following {
        return Err(Doubt::TwoStandbys);
    }
    if other.epoch > lead.epoch {
        return Err(Doubt::Stale { primary: slot });
    }
    if other.epoch == lead.epoch && other.last_version > lead.last_version {
        return Err(Doubt::Ahead { primary: slot });
    }
    let other = match other.following {
        true => Other::Standby,
        false => Other::Former,
    };
    Ok(Decision::Lead(slot, other))
}

/// The two files of a configuration, and why it is not clear which of them is the primary.
#[derive(Debug)]
pub struct Unclear {
    pub(super) path: PathBuf,
    pub(super) standby: PathBuf,
    pub(super) doubt: Doubt,
    /// What is wrong with the one that is unreadable.
    pub(super) source: Option<Box<OpenError>>,
}

impl Unclear {
    fn file(&self, slot: Slot) -> Display<'_> {
        let file: &Path = match slot {
            Slot::Path => &self.path,
            Slot::Standby => &self.standby,
        };
        file.display()
    }

    /// Says what a user can do about it.
    pub fn hint(&self) -> String {
        const TAKEOVER: &str = "`octa storage takeover`";
        let away = |slot| format!("move `{}` away", self.file(slot));
        match self.doubt {
            Doubt::NoPrimary { standby } => format!(
                "bring `{}` back, or go on with the standby: {TAKEOVER}",
                self.file(standby.other())
            ),
            Doubt::TwoStandbys => {
                format!("bring the primary back, or go on with one of them: {TAKEOVER}")
            }
            Doubt::TwoPrimaries { more: Some(slot) } => format!(
                "`{}` has more; look at both, and move the one away that is not to lead: \
                 a new standby is made in its place",
                self.file(slot)
            ),
            Doubt::TwoPrimaries { more: None } => {
                "both have as much; look at both, and move the one away that is not to lead: \
                 a new standby is made in its place"
                    .to_owned()
            }
            Doubt::Unreadable {
                file,
                is_other_standby: true,
            } => format!(
                "restore `{}` from a backup, or go on with its standby: {TAKEOVER}",
                self.file(file)
            ),
            Doubt::Unreadable { file, .. } => {
                format!(
                    "if it is not needed, {}: a new standby is made then",
                    away(file)
                )
            }
            Doubt::Strangers => format!(
                "name another file in `storage.standby`, or {}: a new standby is made then",
                away(Slot::Standby)
            ),
            Doubt::Stale { primary } | Doubt::Ahead { primary } => format!(
                "go on with the standby: {TAKEOVER}; or, if that is the wrong one, {}: a new standby is made then",
                away(primary.other())
            ),
            Doubt::Away => {
                "attach its disk; or, if there was never any data, make its directory".to_owned()
            }
            Doubt::Gone => {
                "bring the database back; or, to begin with none, move those files away".to_owned()
            }
        }
    }
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [path, standby] = [self.file(Slot::Path), self.file(Slot::Standby)];
        match self.doubt {
            Doubt::NoPrimary { standby } => {
                let [there, missing] = [self.file(standby), self.file(standby.other())];
                write!(
                    f,
                    "storage `{missing}` is not there, expected the primary of the standby `{there}`"
                )
            }
            Doubt::TwoStandbys => write!(
                f,
                "storage `{path}` and `{standby}` are both standbys, expected one primary"
            ),
            Doubt::TwoPrimaries { .. } => write!(
                f,
                "storage `{path}` and `{standby}` are both primaries of the same epoch, expected one and its standby"
            ),
            Doubt::Unreadable { file, .. } => write!(
                f,
                "storage `{}` is damaged or no database of this program, expected a primary or a standby",
                self.file(file)
            ),
            Doubt::Strangers => write!(
                f,
                "storage `{path}` and `{standby}` are different databases, expected one and its standby"
            ),
            Doubt::Stale { primary } => write!(
                f,
                "storage `{}` is out of date: its standby `{}` followed a later primary",
                self.file(primary),
                self.file(primary.other())
            ),
            Doubt::Ahead { primary } => write!(
                f,
                "storage `{}` is out of date: its standby `{}` has changes that it does not have",
                self.file(primary),
                self.file(primary.other())
            ),
            Doubt::Away => write!(
                f,
                "storage `{path}` is not there, and whether `{standby}` is cannot be seen: its directory is missing"
            ),
            Doubt::Gone => write!(
                f,
                "storage `{path}` and its standby `{standby}` are not there, but files beside them show that there was data"
            ),
        }
    }
}

impl Error for Unclear {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Seen {
        let header = |following, rest: &str| {
            let numbers = rest.split(' ').map(|n| n.parse().expect("a number"));
            let numbers: Vec<u64> = numbers.collect();
            Seen::There(Header {
                format: 2,
                id: if numbers.len() == 3 {
                    "stranger"
                } else {
                    "home"
                }
                .into(),
                epoch: numbers[0],
                last_version: numbers[1],
                following,
            })
        };
        match text {
            "away" => Seen::Away,
            "missing" => Seen::Missing { traces: false },
            "traces" => Seen::Missing { traces: true },
            "unreadable" => Seen::Unreadable,
            _ => match text.split_once(' ').expect("a role and numbers") {
                ("primary", rest) => header(false, rest),
                (_, rest) => header(true, rest),
            },
        }
    }

    /// Roles are `role epoch last_version`; a third number makes it another database.
    #[track_caller]
    fn check(path: &str, standby: &str, expect: Result<Decision, Doubt>) {
        let found = decide(&seen(path), &seen(standby));
        assert_eq!(found, expect, "{path} | {standby}");
    }

    #[test]
    fn the_higher_epoch_leads_and_nothing_starts_empty_beside_data() {
        use Other::{Absent, Former, Standby as Follows};
        use Slot::{Path, Standby};
        let lead = |slot, other| Ok(Decision::Lead(slot, other));
        for nowhere in ["missing", "away", "traces"] {
            check("primary 1 5", nowhere, lead(Path, Absent));
            check(nowhere, "primary 2 5", lead(Standby, Absent));
            check(
                nowhere,
                "standby 1 5",
                Err(Doubt::NoPrimary { standby: Standby }),
            );
            check(
                "standby 1 5",
                nowhere,
                Err(Doubt::NoPrimary { standby: Path }),
            );
        }
        check("primary 1 5", "standby 1 5", lead(Path, Follows));
        check("primary 1 5", "standby 1 3", lead(Path, Follows));
        check("primary 2 5", "standby 1 9", lead(Path, Follows));
        check("standby 2 4", "primary 2 5", lead(Standby, Follows));
        check("primary 1 9", "primary 2 5", lead(Standby, Former));
        check("primary 3 5", "primary 2 9", lead(Path, Former));
        let two = |more| Err(Doubt::TwoPrimaries { more });
        check("primary 1 5", "primary 1 5", two(None));
        check("primary 1 5", "primary 1 6", two(Some(Standby)));
        check("primary 2 5", "primary 2 4", two(Some(Path)));
        check("primary 1 5 0", "primary 1 5", Err(Doubt::Strangers));
        check(
            "primary 1 5",
            "standby 1 6",
            Err(Doubt::Ahead { primary: Path }),
        );
        check(
            "standby 2 6",
            "primary 2 5",
            Err(Doubt::Ahead { primary: Standby }),
        );
        check(
            "primary 1 5",
            "standby 2 5",
            Err(Doubt::Stale { primary: Path }),
        );
        check(
            "standby 3 5",
            "primary 2 5",
            Err(Doubt::Stale { primary: Standby }),
        );
        check("standby 1 5", "standby 1 5", Err(Doubt::TwoStandbys));
        check("primary 1 5", "standby 1 5 0", Err(Doubt::Strangers));
        check("primary 1 5 0", "primary 2 5", Err(Doubt::Strangers));
        check("missing", "missing", Ok(Decision::New));
        check("away", "missing", Ok(Decision::New));
        check("missing", "away", Err(Doubt::Away));
        check("away", "away", Err(Doubt::Away));
        for nowhere in ["missing", "away", "traces"] {
            check("traces", nowhere, Err(Doubt::Gone));
            check(nowhere, "traces", Err(Doubt::Gone));
        }
        let unreadable = |file, is_other_standby| {
            Err(Doubt::Unreadable {
                file,
                is_other_standby,
            })
        };
        for other in ["missing", "away", "traces", "unreadable"] {
            check("unreadable", other, unreadable(Path, false));
        }
        check("unreadable", "standby 1 5", unreadable(Path, true));
        check("primary 1 5", "unreadable", lead(Path, Other::Unreadable));
        check(
            "unreadable",
            "primary 2 5",
            lead(Standby, Other::Unreadable),
        );
        check("standby 1 5", "unreadable", unreadable(Standby, true));
        check("missing", "unreadable", unreadable(Standby, false));
    }
}
