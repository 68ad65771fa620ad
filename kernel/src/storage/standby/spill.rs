//! Units in files of their own, written at one end and read at the other; what is read takes no space any more.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use octa_plugin_api::Payload;

use super::super::Change;
use super::backlog::Unit;

/// In the place of a length: there is no value.
const DELETED: u32 = u32::MAX;

/// A queue of files, each of which is first written and then read. They have no names: whatever ends the process,
/// nothing of them is left.
#[derive(Debug)]
pub(super) struct Spill {
    directory: PathBuf,
    /// How long a file is before the next one begins.
    length: u64,
    reading: Option<Segment<BufReader<File>>>,
    written: VecDeque<Segment<File>>,
    writing: Option<Segment<BufWriter<File>>>,
    /// The bytes of all units in them that are not read.
    waiting: u64,
}

/// A file, and what is in it that is not read.
#[derive(Debug)]
struct Segment<F> {
    file: F,
    units: usize,
    bytes: u64,
}

impl Segment<BufWriter<File>> {
    fn written(self) -> io::Result<Segment<File>> {
        let mut file = self.file.into_inner().map_err(io::Error::from)?;
        file.rewind()?;
        let Self { units, bytes, .. } = self;
        Ok(Segment { file, units, bytes })
    }
}

impl Segment<BufReader<File>> {
    fn of(Segment { file, units, bytes }: Segment<File>) -> Self {
        let file = BufReader::new(file);
        Self { file, units, bytes }
    }

    fn next(&mut self) -> io::Result<Unit> {
        let unit = take(&mut self.file)?;
        self.units -= 1;
        self.bytes -= size(&unit);
        Ok(unit)
    }
}

impl Spill {
    pub(super) fn new(directory: PathBuf, length: u64) -> Self {
        Self {
            directory,
            length,
            reading: None,
            written: VecDeque::new(),
            writing: None,
            waiting: 0,
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The bytes of the units that were pushed and not popped.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// # Errors
    ///
    /// If the disk does not take it: then the units of the last file are lost with it, and none may follow.
    pub(super) fn push(&mut self, unit: &Unit) -> io::Result<()> {
        let mut segment = match self.writing.take() {
            Some(segment) => segment,
            None => self.begin()?,
        };
        self.waiting -= segment.bytes;
        put(&mut segment.file, unit)?;
        segment.units += 1;
        segment.bytes += size(unit);
        let bytes = segment.bytes;
        match bytes < self.length {
            true => self.writing = Some(segment),
            false => self.written.push_back(segment.written()?),
        }
        self.waiting += bytes;
        Ok(())
    }

    pub(super) fn pop(&mut self) -> io::Result<Option<Unit>> {
        let mut segment = match self.reading.take() {
            Some(segment) => segment,
            None => match self.next()? {
                Some(segment) => segment,
                None => return Ok(None),
            },
        };
        self.waiting -= segment.bytes;
        let unit = segment.next()?;
        self.waiting += segment.bytes;
        if segment.units > 0 {
            self.reading = Some(segment);
        }
        Ok(Some(unit))
    }

    /// The next file to be read, be it the one that is written.
    fn next(&mut self) -> io::Result<Option<Segment<BufReader<File>>>> {
        let next = match (self.written.pop_front(), &self.writing) {
            (Some(segment), _) => Some(segment),
            (None, Some(_)) => self.writing.take().map(Segment::written).transpose()?,
            (None, None) => None,
        };
        Ok(next.map(Segment::of))
    }

    fn begin(&self) -> io::Result<Segment<BufWriter<File>>> {
        let file = tempfile::tempfile_in(&self.directory)?;
        Ok(Segment {
            file: BufWriter::new(file),
            units: 0,
            bytes: 0,
        })
    }
}

fn put(to: &mut impl Write, unit: &Unit) -> io::Result<()> {
    let at = u64::try_from(unit.at.as_nanos()).unwrap_or(u64::MAX);
    for number in [unit.last_version, at, unit.changes.len() as u64] {
        to.write_all(&number.to_le_bytes())?;
    }
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
    }
    Ok(())
}

/// How many bytes a unit takes in a file.
pub(super) fn size(unit: &Unit) -> u64 {
    let size = |change: &Change| 20 + change.namespace.len() + change.bytes();
    24 + unit.changes.iter().map(size).sum::<usize>() as u64
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

#[cfg(test)]
mod tests {
    use super::*;

    impl Spill {
        fn on_disk(&self) -> u64 {
            let reading = self.reading.iter().map(|it| it.file.get_ref());
            let written = self.written.iter().map(|it| &it.file);
            let writing = self.writing.iter().map(|it| it.file.get_ref());
            let files = reading.chain(written).chain(writing);
            let lengths = files.map(|file| file.metadata().expect("it is open").len());
            lengths.sum()
        }
    }

    #[test]
    fn what_was_read_takes_no_space() {
        let home = tempfile::tempdir().expect("a directory");
        let unit = |n: u64| Unit {
            changes: vec![Change::new("a", format!("k{n}"), n, None)],
            last_version: n,
            at: Duration::ZERO,
        };
        let length = 10 * size(&unit(1_000));
        let mut spill = Spill::new(home.path().into(), length);
        let (mut pushed, mut popped) = (0, 0);
        // It is never empty in between.
        for round in 0..1_000 {
            for _ in 0..if round < 100 { 5 } else { 3 } {
                pushed += 1;
                spill.push(&unit(pushed)).expect("there is space");
            }
            for _ in 0..3 {
                popped += 1;
                let found = spill.pop().expect("it can be read");
                assert_eq!(found, Some(unit(popped)));
            }
            let waiting: u64 = (popped + 1..=pushed).map(|n| size(&unit(n))).sum();
            assert_eq!(spill.waiting(), waiting);
            let most = waiting + 2 * length;
            assert!(spill.on_disk() <= most, "{} of {most}", spill.on_disk());
        }
        let left = home.path().read_dir().expect("a directory").count();
        assert_eq!(left, 0, "a file has a name");
    }
}
