//! A file of units, written at its end and read from its start by the process that made it, and by no other.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use octa_plugin_api::Payload;

use super::super::Change;
use super::backlog::Unit;
use super::files;

/// The most bytes of the file: beyond that, a copy of everything is cheaper.
const MOST: u64 = 1 << 30;
/// In the place of a length: there is no value.
const DELETED: u32 = u32::MAX;

/// The file is made for the first unit, begun anew when all have been read, and removed in the end.
#[derive(Debug)]
pub(super) struct Spill {
    path: PathBuf,
    ends: Option<Ends>,
    /// Units that are written and not read.
    waiting: usize,
}

#[derive(Debug)]
struct Ends {
    writer: BufWriter<File>,
    reader: BufReader<File>,
    written: u64,
}

impl Spill {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            ends: None,
            waiting: 0,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    pub(super) fn push(&mut self, unit: &Unit) -> io::Result<()> {
        let mut ends = match self.ends.take() {
            Some(ends) => ends,
            None => self.begin()?,
        };
        if ends.written > MOST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        ends.written += put(&mut ends.writer, unit)?;
        self.ends = Some(ends);
        self.waiting += 1;
        Ok(())
    }

    pub(super) fn pop(&mut self) -> io::Result<Option<Unit>> {
        if self.waiting == 0 {
            return Ok(None);
        }
        let Some(ends) = &mut self.ends else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        ends.writer.flush()?;
        let unit = take(&mut ends.reader)?;
        self.waiting -= 1;
        if self.waiting == 0 {
            self.ends = None;
        }
        Ok(Some(unit))
    }

    fn begin(&self) -> io::Result<Ends> {
        files::remove(&self.path)?;
        let writer = files::private().create_new(true).open(&self.path)?;
        let reader = File::open(&self.path)?;
        Ok(Ends {
            writer: BufWriter::new(writer),
            reader: BufReader::new(reader),
            written: 0,
        })
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        // If it stays, whoever makes the next one removes it.
        drop(fs::remove_file(&self.path));
    }
}

/// Writes a unit; answers how many bytes it took.
fn put(to: &mut impl Write, unit: &Unit) -> io::Result<u64> {
    let at = u64::try_from(unit.at.as_nanos()).unwrap_or(u64::MAX);
    for number in [unit.last_version, at, unit.changes.len() as u64] {
        to.write_all(&number.to_le_bytes())?;
    }
    let mut bytes = 24;
    for change in &unit.changes {
        let value = change.value.as_deref();
        let lengths = [
            length(change.namespace.as_bytes())?,
            length(change.key.as_bytes())?,
            value.map_or(Ok(DELETED), length)?,
        ];
        to.write_all(&change.version.to_le_bytes())?;
        for length in lengths {
            to.write_all(&length.to_le_bytes())?;
        }
        to.write_all(change.namespace.as_bytes())?;
        to.write_all(change.key.as_bytes())?;
        to.write_all(value.unwrap_or_default())?;
        bytes += 20 + change.namespace.len() as u64 + change.bytes() as u64;
    }
    Ok(bytes)
}

fn length(bytes: &[u8]) -> io::Result<u32> {
    let length = u32::try_from(bytes.len()).ok();
    let length = length.filter(|length| *length != DELETED);
    length.ok_or_else(|| io::ErrorKind::FileTooLarge.into())
}

fn take(from: &mut impl Read) -> io::Result<Unit> {
    let last_version = number(from)?;
    let at = Duration::from_nanos(number(from)?);
    let count = number(from)?;
    let changes = (0..count)
        .map(|_| change(from))
        .collect::<io::Result<_>>()?;
    Ok(Unit {
        changes,
        last_version,
        at,
    })
}

fn change(from: &mut impl Read) -> io::Result<Change> {
    let version = number(from)?;
    let mut lengths = [0; 3];
    for length in &mut lengths {
        let mut bytes = [0; 4];
        from.read_exact(&mut bytes)?;
        *length = u32::from_le_bytes(bytes);
    }
    let [namespace, key, value] = lengths;
    let (namespace, key) = (text(from, namespace)?, text(from, key)?);
    let value = (value != DELETED).then(|| bytes(from, value)).transpose()?;
    Ok(Change::new(
        namespace,
        key,
        version,
        value.map(Payload::from),
    ))
}

fn number(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn text(from: &mut impl Read, length: u32) -> io::Result<String> {
    String::from_utf8(bytes(from, length)?).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn bytes(from: &mut impl Read, length: u32) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = from.take(length.into()).read_to_end(&mut bytes)?;
    if read < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}
