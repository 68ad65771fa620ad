//! The claim of a running kernel on its name: a lock, a record and a socket.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::{Meeting, MeetingError, Record};

/// A name that is taken for as long as this lives. Dropping it removes the socket and the record.
///
/// The lock on the record decides who lives: it goes with its process, however that ends, so what
/// a dead kernel left behind can be told from a live one without asking.
#[derive(Debug)]
pub(crate) struct Claim {
    /// Held for its lock.
    _lock: File,
    record: PathBuf,
    socket: PathBuf,
}

impl Meeting {
    /// Takes the name in `record`, and listens.
    pub(crate) fn claim(&self, record: &Record) -> Result<(Claim, UnixListener), MeetingError> {
        self.make_private()?;
        let path = self.record(&record.name);
        let mut lock = take(&path, &record.name)?;
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |source| MeetingError::Unusable { path, source }
        };
        write(&mut lock, record).map_err(unusable(&path))?;
        let claim = Claim {
            _lock: lock,
            record: path,
            socket: self.socket(&record.name),
        };
        let listener = listen(&claim.socket).map_err(unusable(&claim.socket))?;
        Ok((claim, listener))
    }
}

/// Locks the record, unless a live kernel has.
fn take(path: &Path, name: &str) -> Result<File, MeetingError> {
    let unusable = |source| MeetingError::Unusable {
        path: path.to_owned(),
        source,
    };
    loop {
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path);
        let mut file = opened.map_err(unusable)?;
        match file.try_lock() {
            Ok(()) if is_still(&file, path) => return Ok(file),
            // Its last owner removed it between our opening and our locking it.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(MeetingError::Running {
                    name: name.to_owned(),
                    record: read(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
    }
}

fn is_still(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn read(file: &mut File) -> Option<Box<Record>> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write(file: &mut File, record: &Record) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&serde_json::to_vec(record)?)
}

/// Replaces what a dead kernel left.
fn listen(socket: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    // The directory is private already, so nobody else came in between.
    fs::set_permissions(socket, Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl Drop for Claim {
    fn drop(&mut self) {
        for path in [&self.socket, &self.record] {
            if let Err(error) = fs::remove_file(path) {
                log::warn!("`{}` stays behind: {error}", path.display());
            }
        }
    }
}
