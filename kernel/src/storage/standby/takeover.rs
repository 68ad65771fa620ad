//! Makes a standby the primary, when the one that was it is lost, or is to rest.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::sqlite::{Header, Lock, files};
use super::super::{OpenError, Sqlite, StorageAdapter as _, StorageError};
use super::names;
use super::pair::{PairError, Sight, lock, see, unclear};
use super::progress::Noted;
use super::roles::{Decision, Doubt, Other, Seen, Slot, decide};

/// What a takeover did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Takeover {
    /// The primary from now on.
    pub primary: PathBuf,
    /// The last version in it.
    pub version: u64,
    /// Whether it was the primary before, so that there was nothing to do.
    pub was_primary: bool,
    /// What the former primary has that this one does not have.
    pub lost: Lost,
    /// What became of the file of the former primary.
    pub former: Former,
}

/// What a standby does not have when it takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lost {
    /// So many changes, the last ones before the former primary ended.
    Changes(u64),
    /// The former primary cannot be asked.
    Unknown {
        /// How many changes of it were missing when it was last seen, and when that was, since 1970.
        seen: Option<(u64, Duration)>,
    },
}

/// What became of the file of a former primary.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Former {
    /// There was none.
    Absent,
    /// It has another name now.
    SetAside {
        /// Where it was.
        from: PathBuf,
        /// Where it is.
        to: PathBuf,
    },
    /// It could not be given another name; the kernel does so when it can.
    Stays {
        /// Where it is.
        path: PathBuf,
        /// Why.
        problem: String,
    },
}

/// Why a standby did not take over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeoverError {
    /// A kernel runs.
    #[error(
        "storage `{}` is in use by a kernel that runs{}",
        path.display(),
        process.map(|id| format!(" (process {id})")).unwrap_or_default()
    )]
    Lives {
        /// The file.
        path: PathBuf,
        /// The number of its process, if it can be told.
        process: Option<u32>,
    },
    /// Whether a kernel runs cannot be told.
    #[error("whether a kernel runs on the storage cannot be told: its lock cannot be taken")]
    Unsure(#[source] OpenError),
    /// There is nothing that could take over.
    #[error("there is no standby `{}`", path.display())]
    NoStandby {
        /// Where it would be.
        path: PathBuf,
    },
    /// The configuration names none.
    #[error("the configuration names no standby of storage `{}`", path.display())]
    NotConfigured {
        /// The storage.
        path: PathBuf,
    },
    /// The first copy into it was not finished.
    #[error("the standby `{}` is not whole: its first copy was not finished", path.display())]
    NotWhole {
        /// The standby to be.
        path: PathBuf,
    },
    /// It is from before the takeover that made its primary one.
    #[error("the standby `{}` is out of date: it did not follow `{}` yet", path.display(), primary.display())]
    Old {
        /// The standby.
        path: PathBuf,
        /// The primary.
        primary: PathBuf,
    },
    /// It cannot be opened.
    #[error("the standby cannot be opened")]
    Open(#[source] OpenError),
    /// It cannot be written.
    #[error("the standby cannot be made the primary")]
    Write(#[source] StorageError),
    /// It is not clear which file is which.
    #[error(transparent)]
    Pair(#[from] PairError),
}

impl TakeoverError {
    /// Says what a user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Lives { .. } => {
                "stop it first: a standby takes over only from a primary that has ended"
            }
            Self::Unsure(_) => {
                "run this as the user that the kernel runs as; if the disk is broken, detach it"
            }
            Self::NoStandby { .. } => "check `storage.standby`, or attach its disk",
            Self::NotConfigured { .. } => {
                "name one as `storage.standby`, or give the configuration with `--config`"
            }
            Self::NotWhole { .. } => {
                "bring the primary back, or restore a backup: `octa storage restore`"
            }
            Self::Old { .. } => {
                "start the kernel: it goes on with the primary, and the standby is made anew"
            }
            Self::Open(error) => return error.hint(),
            Self::Write(error) => return error.hint(),
            Self::Pair(error) => return error.hint(),
        };
        Some(hint.to_owned())
    }

    fn lock(error: OpenError) -> Self {
        match error {
            OpenError::InUse { path, process, .. } => Self::Lives { path, process },
            error => Self::Open(error),
        }
    }
}

/// The two files of a configuration, and what is there.
struct Scene {
    files: [PathBuf; 2],
    sights: [Sight; 2],
}

impl Scene {
    fn file(&self, slot: Slot) -> &Path {
        match slot {
            Slot::Path => &self.files[0],
            Slot::Standby => &self.files[1],
        }
    }

    fn header(&self, slot: Slot) -> Option<&Header> {
        let sight = match slot {
            Slot::Path => &self.sights[0],
            Slot::Standby => &self.sights[1],
        };
        match &sight.seen {
            Seen::There(header) => Some(header),
            _ => None,
        }
    }
}

/// Makes the standby of the two files the primary; the former one, if it is there, is set aside.
///
/// Harmless where it is the primary already.
///
/// # Errors
///
/// If a kernel lives on either file, or there is no standby that is whole.
pub async fn take_over(path: &Path, standby: Option<&Path>) -> Result<Takeover, TakeoverError> {
    let Some(standby) = standby else {
        return alone(path).await;
    };
    let files = [files::resolve(path), files::resolve(standby)];
    if files[0] == files[1] {
        let [path, _] = files;
        return Err(PairError::Same { path }.into());
    }
    // Both before anything is looked at: a kernel that lives holds one of them at least.
    let [of_path, of_standby] = [&files[0], &files[1]].map(|path| lock(path));
    let [of_path, of_standby] = [of_path, of_standby].map(|lock| match lock {
        Err(error @ OpenError::InUse { .. }) => Err(TakeoverError::lock(error)),
        lock => lock.map_err(TakeoverError::Unsure),
    });
    let locks = [of_path?, of_standby?];
    let sights = [look(&files[0]), look(&files[1])];
    let scene = Scene { files, sights };
    match choose(&scene)? {
        Choice::Promote(slot) => promote(scene, slot, locks).await,
        Choice::Already(slot) => {
            let primary = scene.file(slot).to_owned();
            Ok(Takeover {
                primary,
                version: scene.header(slot).map_or(0, |header| header.last_version),
                was_primary: true,
                lost: Lost::Changes(0),
                former: set_aside(&scene, slot.other()),
            })
        }
    }
}

/// A file that cannot be looked at is as good as a damaged one: somebody says that it is lost.
fn look(path: &Path) -> Sight {
    see(path).unwrap_or_else(|error| Sight {
        seen: Seen::Unreadable,
        trouble: Some(error),
    })
}

enum Choice {
    Promote(Slot),
    Already(Slot),
}

fn choose(scene: &Scene) -> Result<Choice, TakeoverError> {
    let [path, standby] = [&scene.sights[0].seen, &scene.sights[1].seen];
    let file = |slot| scene.file(slot).to_owned();
    let epoch = |slot| scene.header(slot).map_or(0, |header| header.epoch);
    let missing = |slot: Slot| {
        let path = file(slot);
        match names::copying(&path).exists() {
            true => TakeoverError::NotWhole { path },
            false => TakeoverError::NoStandby { path },
        }
    };
    match decide(path, standby) {
        Ok(Decision::New) => Err(missing(Slot::Standby)),
        Ok(Decision::Lead(slot, Other::Unreadable)) => {
            let doubt = Doubt::Unreadable {
                file: slot.other(),
                is_other_standby: false,
            };
            Err(doubtful(scene, doubt))
        }
        Ok(Decision::Lead(slot, Other::Former)) => Ok(Choice::Already(slot)),
        Ok(Decision::Lead(slot, Other::Standby)) if epoch(slot.other()) < epoch(slot) => {
            let [path, primary] = [file(slot.other()), file(slot)];
            Err(TakeoverError::Old { path, primary })
        }
        Ok(Decision::Lead(slot, Other::Standby)) => Ok(Choice::Promote(slot.other())),
        // Nothing has been made in the place of the one that it took over from.
        Ok(Decision::Lead(slot, Other::Absent)) if slot == Slot::Standby => {
            Ok(Choice::Already(slot))
        }
        Ok(Decision::Lead(slot, Other::Absent))
            if epoch(slot) > 0 && !names::copying(scene.file(slot.other())).exists() =>
        {
            Ok(Choice::Already(slot))
        }
        Ok(Decision::Lead(slot, Other::Absent)) => Err(missing(slot.other())),
        Err(Doubt::NoPrimary { standby }) => Ok(Choice::Promote(standby)),
        Err(Doubt::TwoStandbys) => Ok(Choice::Promote(best(scene))),
        Err(Doubt::Stale { primary } | Doubt::Ahead { primary }) => {
            Ok(Choice::Promote(primary.other()))
        }
        Err(Doubt::Unreadable {
            file,
            is_other_standby: true,
        }) => Ok(Choice::Promote(file.other())),
        Err(Doubt::Away | Doubt::Gone) => Err(missing(Slot::Standby)),
        Err(doubt) => Err(doubtful(scene, doubt)),
    }
}

fn doubtful(scene: &Scene, doubt: Doubt) -> TakeoverError {
    let sights = scene.files.each_ref().map(|path| look(path));
    PairError::Unclear(unclear(scene.files.clone(), sights, doubt)).into()
}

/// Which of two standbys has more.
fn best(scene: &Scene) -> Slot {
    let has = |slot| {
        scene
            .header(slot)
            .map(|header| (header.epoch, header.last_version))
    };
    match has(Slot::Standby) > has(Slot::Path) {
        true => Slot::Standby,
        false => Slot::Path,
    }
}

async fn promote(
    scene: Scene,
    slot: Slot,
    [of_path, of_standby]: [Option<Lock>; 2],
) -> Result<Takeover, TakeoverError> {
    // Its own lock is taken by opening it. A kernel that starts meanwhile meets the other one.
    let (own, other) = match slot {
        Slot::Path => (of_path, of_standby),
        Slot::Standby => (of_standby, of_path),
    };
    drop(own);
    let primary = scene.file(slot).to_owned();
    let noted = Noted::read(&primary);
    let header = lead(&primary, noted).await?;
    let lost = match scene.header(slot.other()) {
        Some(former) => Lost::Changes(former.last_version.saturating_sub(header.last_version)),
        None => Lost::Unknown {
            seen: noted.map(|noted| noted.missing(header.last_version)),
        },
    };
    let former = set_aside(&scene, slot.other());
    drop(other);
    // It says something of a standby, which this is no longer.
    drop(files::remove(&names::progress(&primary)));
    Ok(Takeover {
        primary,
        version: header.last_version,
        was_primary: false,
        lost,
        former,
    })
}

/// Makes a file the one that leads, if it is whole: above itself, and above the primary that was noted beside it.
async fn lead(path: &Path, noted: Option<Noted>) -> Result<Header, TakeoverError> {
    let standby = Sqlite::open(path).map_err(TakeoverError::lock)?;
    let own = standby.own_header().map_err(TakeoverError::Write)?;
    if let Some(noted) = noted.filter(|noted| noted.epoch > own.epoch) {
        // It did not follow that one yet; if this ends here, it still does not lead.
        let following = standby.follow(&own.id, noted.epoch).await;
        following.map_err(TakeoverError::Write)?;
    }
    let header = standby.raise_epoch().await.map_err(TakeoverError::Write)?;
    standby.close().await.map_err(TakeoverError::Write)?;
    Ok(header)
}

async fn alone(path: &Path) -> Result<Takeover, TakeoverError> {
    let path = files::resolve(path);
    let header = Sqlite::header(&path).ok().flatten();
    if !header.is_some_and(|header| header.following) {
        return Err(TakeoverError::NotConfigured { path });
    }
    let noted = Noted::read(&path);
    let header = lead(&path, noted).await?;
    let seen = noted.map(|noted| noted.missing(header.last_version));
    Ok(Takeover {
        primary: path,
        version: header.last_version,
        was_primary: false,
        lost: Lost::Unknown { seen },
        former: Former::Absent,
    })
}

/// Sets the former primary aside; a standby stays, and is made anew by the kernel.
fn set_aside(scene: &Scene, slot: Slot) -> Former {
    let from = scene.file(slot).to_owned();
    let header = scene.header(slot);
    if header.is_some_and(|header| header.following) || !from.exists() {
        return Former::Absent;
    }
    match names::set_aside(&from, header.map(|header| header.epoch)) {
        Ok(to) => Former::SetAside { from, to },
        Err(error) => Former::Stays {
            path: from,
            problem: error.to_string(),
        },
    }
}
