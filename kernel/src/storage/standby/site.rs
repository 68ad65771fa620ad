//! The place of a standby: what is there, and how a new one is put there.

use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::super::sqlite::{Brake, Header, Lock, files};
use super::super::{OpenError, Sqlite, StorageAdapter};
use super::names;
use super::trouble::Broken;

/// Where the standby of a database is.
#[derive(Debug)]
pub(crate) struct Site {
    path: PathBuf,
    primary: PathBuf,
    /// Which database it is a standby of.
    id: Arc<str>,
    epoch: u64,
    brake: Brake,
}

/// What is at the place of a standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Nothing,
    /// One that is not as the primary ever was.
    Old(u64),
    /// One that is as the primary was at this version.
    Whole(u64),
}

/// A standby that is being made; gone when it is dropped.
#[derive(Debug)]
pub(super) struct Fresh {
    /// Dropped first, so that what is removed is closed.
    database: Sqlite,
    file: Temporary,
}

#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // If it stays, the next one that is made removes it.
        drop(remove(&self.0));
    }
}

impl Fresh {
    pub(super) fn database(&self) -> &Sqlite {
        &self.database
    }
}

impl Site {
    /// The place of a standby of a database, which has this header.
    pub(super) fn new(path: PathBuf, primary: &Sqlite, header: &Header) -> Self {
        Self {
            path,
            primary: primary.path().to_owned(),
            id: header.id.clone(),
            epoch: header.epoch,
            brake: primary.brake(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn primary(&self) -> &Path {
        &self.primary
    }

    /// The epoch of the primary.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Ends the writes of the primary if there is a later one: the next start sets aside what has them.
    pub(super) fn yield_to_later(&self, broken: &Broken) {
        if let Broken::TakenOver { path, epochs } = broken {
            self.brake.taken_over(path, *epochs);
        }
    }

    /// The directory is not made: where a disk is not attached, it would be made in its stead.
    pub(super) fn check_directory(&self) -> Result<(), Broken> {
        let directory = files::directory(&self.path);
        if directory.is_dir() {
            return Ok(());
        }
        let path = directory.to_owned();
        Err(Broken::NoDirectory { path })
    }

    /// Tells what is there, beside a primary with this last version.
    pub(super) fn look(&self, last_version: u64) -> Result<Place, Broken> {
        let path = self.path.clone();
        let header = match Sqlite::header(&path) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(Place::Nothing),
            Err(error @ (OpenError::Io { .. } | OpenError::Sqlite { .. })) => {
                return Err(Broken::Open(error));
            }
            Err(_) => return Err(Broken::Unreadable { path }),
        };
        if header.id != self.id {
            return Err(Broken::Stranger { path });
        }
        if header.epoch > self.epoch {
            return Err(match header.following {
                true => Broken::Later { path },
                false => Broken::TakenOver {
                    path,
                    epochs: [header.epoch, self.epoch],
                },
            });
        }
        if !header.following {
            return Err(Broken::NoStandby { path });
        }
        let was_so = header.epoch == self.epoch && header.last_version <= last_version;
        Ok(match was_so {
            true => Place::Whole(header.last_version),
            false => Place::Old(header.last_version),
        })
    }

    /// Opens the standby that is there; `None` if it is damaged and of no use.
    pub(super) async fn open(&self) -> Result<Option<Sqlite>, Broken> {
        match open(&self.path, true).await {
            Err(Broken::Open(error @ OpenError::Damaged { .. })) => {
                log::warn!("the standby is made anew: {error}");
                Ok(None)
            }
            opened => opened.map(Some),
        }
    }
}

impl Site {
    /// Begins a new standby beside the place.
    pub(super) async fn begin(&self) -> Result<Fresh, Broken> {
        let path = names::copying(&self.path);
        remove(&path).map_err(Broken::file("remove", &path))?;
        let file = Temporary(path.clone());
        let database = open(&path, false).await?;
        Ok(Fresh { database, file })
    }

    /// Puts a standby that is whole in its place, and opens it there.
    pub(super) async fn put(&self, fresh: Fresh) -> Result<Sqlite, Broken> {
        let Fresh { database, file } = fresh;
        let following = database.follow(&self.id, self.epoch).await;
        following.map_err(Broken::Write)?;
        database.close().await.map_err(Broken::Write)?;
        // Before it takes the place of one that may be better, all of it is read back.
        let checked = open(&file.0, true).await?;
        let header = checked.own_header().map_err(Broken::Write)?;
        checked.close().await.map_err(Broken::Write)?;
        if header.id != self.id || !header.following {
            // Where a disk was attached meanwhile, it is another file of that name.
            let path = file.0.clone();
            return Err(Broken::Unreadable { path });
        }
        self.settle().await?;
        // Copying takes a while: what has come to its place since then is looked at, and kept out from here on.
        let lock = Lock::take(&self.path).map_err(Broken::Open)?;
        self.check_replaceable()?;
        let replaced = files::replace(&self.path, &file.0);
        replaced.map_err(Broken::file("replace", &self.path))?;
        drop(lock);
        open(&self.path, false).await
    }

    /// Brings what is in the log of the old standby into its file: until the new one is there, it is the one.
    async fn settle(&self) -> Result<(), Broken> {
        if self.check_replaceable()? == Place::Nothing {
            return Ok(());
        }
        match open(&self.path, false).await {
            Ok(old) => old.close().await.map_err(Broken::Write),
            // What is so damaged is no standby that could be lost.
            Err(Broken::Open(OpenError::Damaged { .. })) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether there is nothing, or a standby of this primary, whatever it has.
    fn check_replaceable(&self) -> Result<Place, Broken> {
        self.look(u64::MAX)
    }
}

/// Removes a standby that was begun, and what is beside it.
fn remove(path: &Path) -> io::Result<()> {
    files::remove(&files::lock(path))?;
    files::remove_database(path)
}

/// Opens a file on a thread of its own, since all of it may be read; changes are gathered meanwhile.
async fn open(path: &Path, is_checked: bool) -> Result<Sqlite, Broken> {
    let path = path.to_owned();
    let options = Sqlite::options().check(is_checked);
    let opened = spawn_blocking(move || options.open(path)).await;
    let opened = opened.unwrap_or_else(|error| resume_unwind(error.into_panic()));
    opened.map_err(Broken::Open)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What has come to the place of a standby while it was copied stays there.
    #[tokio::test]
    async fn what_came_meanwhile_is_not_replaced() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("b.db");
        let primary = Sqlite::open(home.path().join("a.db")).expect("it opens");
        let header = primary.own_header().expect("it is open");
        let site = Site::new(path.clone(), &primary, &header);

        let fresh = site.begin().await.expect("a new one");
        let later = Sqlite::open(&path).expect("it opens");
        later
            .follow(&header.id, header.epoch)
            .await
            .expect("it is open");
        later.raise_epoch().await.expect("it is open");
        later.close().await.expect("it closes");
        let there = fs::read(&path).expect("it is there");
        let refused = site.put(fresh).await.expect_err("a later primary is there");
        assert!(matches!(refused, Broken::TakenOver { .. }), "{refused}");
        assert!(fs::read(&path).expect("it is there") == there);

        fs::write(&path, "dear diary").expect("it is ours");
        let fresh = site.begin().await.expect("a new one");
        let refused = site.put(fresh).await.expect_err("a file is there");
        assert!(matches!(refused, Broken::Unreadable { .. }), "{refused}");
        assert_eq!(fs::read(&path).expect("it is there"), b"dear diary");

        fs::remove_file(&path).expect("it is there");
        let fresh = site.begin().await.expect("a new one");
        let standby = site.put(fresh).await.expect("nothing is there");
        assert!(standby.own_header().expect("it is open").following);
    }

    #[tokio::test]
    async fn only_a_standby_of_this_primary_is_written_to() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("b.db");
        let primary = Sqlite::open(home.path().join("a.db")).expect("it opens");
        let header = primary.own_header().expect("it is open");
        let site = |id: &str, epoch| {
            let (id, header) = (id.into(), header.clone());
            let header = Header {
                id,
                epoch,
                ..header
            };
            Site::new(path.clone(), &primary, &header)
        };
        let look = |site: Site, last_version| match site.look(last_version) {
            Ok(place) => format!("{place:?}"),
            Err(broken) => broken.to_string().replace(&path.display().to_string(), "B"),
        };
        assert_eq!(look(site("home", 1), 5), "Nothing");

        let database = Sqlite::open(&path).expect("it opens");
        database.replicate(&[], 5).await.expect("it is open");
        database.follow("home", 1).await.expect("it is open");
        assert_eq!(look(site("home", 1), 5), "Whole(5)");
        assert_eq!(look(site("home", 1), 9), "Whole(5)");
        assert_eq!(look(site("home", 1), 4), "Old(5)");
        assert_eq!(look(site("home", 2), 9), "Old(5)");
        let later = "the standby `B` followed a later primary";
        assert_eq!(look(site("home", 0), 9), later);
        let stranger = "`B` is the standby of another database";
        assert_eq!(look(site("other", 1), 9), stranger);

        database.raise_epoch().await.expect("it is open");
        let itself = "`B` is a database for itself, expected a standby of the primary or nothing";
        assert_eq!(look(site("home", 2), 9), itself);
        assert_eq!(look(site("home", 3), 9), itself);
        let taken_over = site("home", 1).look(9).expect_err("it leads");
        let hint = taken_over.problem().hint;
        assert_eq!(
            hint.as_deref(),
            Some("stop and start again: the later one leads, and this one is kept aside")
        );
        let later = "`B` took over from this storage: it is the primary in epoch 2, this one was in epoch 1; writes are refused";
        assert_eq!(look(site("home", 1), 9), later);
        database.close().await.expect("it closes");

        fs::write(&path, "dear diary").expect("it is ours");
        let unreadable =
            "`B` is damaged or no database of this program, expected a standby or nothing";
        assert_eq!(look(site("home", 2), 9), unreadable);
        assert_eq!(fs::read(&path).expect("it is there"), b"dear diary");
    }
}
