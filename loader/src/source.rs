//! Opens and reads the files that plugins come in, under the rules for such files.
//!
//! What the bytes mean is the job of `inspect`, where a copy of them goes that of `stage`.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Deref;
use std::path::Path;

use memmap2::{MmapMut, MmapOptions};
use thiserror::Error;

use crate::hash::ContentHash;
use crate::sys;

/// Largest plugin file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 512 << 20;

/// How much is read before it is hashed: small enough to be still in the cache then, and for a
/// block of the heap like others; large enough for the widest vector code of BLAKE3.
const CHUNK_BYTES: usize = 64 << 10;

/// Which files are acceptable as plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRules {
    /// The file must belong to the kernel's user or to root, and nobody else may write to it.
    pub require_private: bool,
}

impl Default for FileRules {
    fn default() -> Self {
        FileRules {
            require_private: true,
        }
    }
}

/// A file that cannot be read, or that the rules do not accept; the text goes on from its path.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The system does not open it.
    #[error("cannot be opened")]
    Open(#[source] io::Error),
    /// The system does not read it.
    #[error("cannot be read")]
    Read(#[source] io::Error),
    /// It is something else than a file.
    #[error("is {found}, expected a regular file")]
    NotRegular {
        /// What it is.
        found: &'static str,
    },
    /// Others than the kernel's user could change it.
    #[error(
        "can be changed by others: it belongs to user {owner} with mode {mode:04o}, expected \
         user {user} or root and no write permission for group and others"
    )]
    Exposed {
        /// The user id that it belongs to.
        owner: u32,
        /// Its permission bits.
        mode: u32,
        /// The user id that the kernel runs as.
        user: u32,
    },
    /// There are too many bytes.
    #[error("is too large: {size} bytes, at most {FILE_BYTES_MAX} are allowed")]
    TooLarge {
        /// Bytes found.
        size: u64,
    },
}

impl SourceError {
    /// Says what the user can do about the file at `path`.
    pub fn hint(&self, path: &Path) -> Option<String> {
        let path = path.display();
        match self {
            SourceError::Open(error) | SourceError::Read(error) => match error.kind() {
                io::ErrorKind::PermissionDenied => Some(format!(
                    "give the user that runs the kernel permission to read it: `chmod u+r {path}`"
                )),
                io::ErrorKind::NotFound => {
                    Some("it was removed, or it is a link that leads nowhere".to_owned())
                }
                _ => None,
            },
            SourceError::NotRegular { .. } => Some("put plugin files there only".to_owned()),
            SourceError::Exposed { owner, user, .. } if *owner == *user || *owner == 0 => {
                Some(format!("`chmod go-w {path}`"))
            }
            SourceError::Exposed { user, .. } => Some(format!(
                "`chown {user} {path}`, if you trust whoever wrote it"
            )),
            SourceError::TooLarge { .. } => {
                Some("strip it of its debug information: `strip --strip-debug`".to_owned())
            }
        }
    }
}

/// Opens `path` if the rules accept it, and says how long it is.
pub(crate) fn open(path: &Path, rules: FileRules) -> Result<(File, u64), SourceError> {
    let file = sys::open_source(path).map_err(|error| match fs::metadata(path) {
        // Sockets and, on some platforms, directories do not open at all.
        Ok(metadata) if !metadata.is_file() => SourceError::NotRegular {
            found: sys::kind(metadata.file_type()),
        },
        _ => SourceError::Open(error),
    })?;
    let metadata = file.metadata().map_err(SourceError::Open)?;
    if !metadata.is_file() {
        return Err(SourceError::NotRegular {
            found: sys::kind(metadata.file_type()),
        });
    }
    if rules.require_private
        && let Some(exposure) = sys::exposure(&metadata)
    {
        return Err(exposure.into());
    }
    match metadata.len() {
        size if size > FILE_BYTES_MAX => Err(SourceError::TooLarge { size }),
        size => Ok((file, size)),
    }
}

impl From<sys::Exposure> for SourceError {
    fn from(exposure: sys::Exposure) -> Self {
        let sys::Exposure { owner, mode, user } = exposure;
        SourceError::Exposed { owner, mode, user }
    }
}

/// The bytes of a file, on pages of their own, which go back to the system at once. As large
/// blocks of the heap they would stay with the arena of every thread that inspects.
#[derive(Debug)]
pub(crate) struct Bytes {
    pages: MmapMut,
    length: usize,
}

impl Bytes {
    fn with_room(size: u64) -> io::Result<Self> {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Ok(Self {
            // One more, to see the end of the file. All of it will be used, so at once.
            pages: MmapOptions::new()
                .len(size.saturating_add(1))
                .populate()
                .map_anon()?,
            length: 0,
        })
    }

    /// Reads on, up to a chunk; answers what came.
    fn read(&mut self, file: &mut impl Read) -> io::Result<&[u8]> {
        let start = self.length;
        if start == self.pages.len() {
            let mut larger = MmapMut::map_anon(self.pages.len().saturating_mul(2))?;
            larger[..start].copy_from_slice(&self.pages);
            self.pages = larger;
        }
        let end = self.pages.len().min(start + CHUNK_BYTES);
        self.length += file.read(&mut self.pages[start..end])?;
        Ok(&self.pages[start..self.length])
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.pages[..self.length]
    }
}

/// Reads a whole file that was `size` bytes long, and hashes it on the way.
pub(crate) fn read(file: File, size: u64) -> Result<(Bytes, ContentHash), SourceError> {
    let mut bytes = Bytes::with_room(size.min(FILE_BYTES_MAX)).map_err(SourceError::Read)?;
    let mut hasher = blake3::Hasher::new();
    // A file that grows meanwhile is read to the limit, not for ever.
    let mut file = file.take(FILE_BYTES_MAX + 1);
    loop {
        match bytes.read(&mut file) {
            Ok([]) => break,
            Ok(came) => drop(hasher.update(came)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(SourceError::Read(error)),
        }
    }
    match bytes.len() as u64 {
        size if size > FILE_BYTES_MAX => Err(SourceError::TooLarge { size }),
        _ => Ok((bytes, hasher.finalize().into())),
    }
}

/// Copies at most `size` bytes and one more, and answers the hash of exactly what it wrote.
pub(crate) fn copy(from: File, mut to: impl Write, size: u64) -> io::Result<ContentHash> {
    let mut hasher = blake3::Hasher::new();
    let mut from = from.take(size.saturating_add(1));
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    loop {
        chunk.clear();
        (&mut from)
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut chunk)?;
        if chunk.is_empty() {
            return Ok(hasher.finalize().into());
        }
        hasher.update(&chunk);
        to.write_all(&chunk)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_and_copying_hash_the_same_bytes() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, copied) = (directory.path().join("a"), directory.path().join("b"));
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 3 * CHUNK_BYTES + 7] {
            let content: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            fs::write(&path, &content).expect("a file");
            let (file, size) = open(&path, FileRules::default()).expect("a file");
            let (bytes, hash) = read(file, size).expect("its bytes");
            assert!(*bytes == *content, "{length} bytes read as they are");
            assert_eq!(hash, ContentHash::of(&content));
            let to = File::create(&copied).expect("a file");
            let (file, size) = open(&path, FileRules::default()).expect("a file");
            assert_eq!(copy(file, to, size).expect("a copy"), hash);
            assert!(fs::read(&copied).expect("a copy") == content);
        }
    }
}
