//! What is mapped in this process, and what lies there, read without touching it: where nothing is
//! mapped there is an error.

use std::{
    ffi::OsStr,
    fs::{self, File},
    ops::Range,
    os::unix::{ffi::OsStrExt as _, fs::FileExt as _},
    path::Path,
};

/// A stretch of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) span: Range<usize>,
    /// Where in its file it begins.
    pub(super) offset: u64,
}

/// All that is mapped now.
pub(super) struct Maps(Vec<u8>);

impl Maps {
    pub(super) fn read() -> Option<Self> {
        fs::read("/proc/self/maps").ok().map(Self)
    }

    /// The code of a file.
    pub(super) fn code_of(&self, file: &Path) -> Vec<Mapping> {
        let file = file.as_os_str().as_bytes();
        let lines = self
            .lines()
            .filter(|line| line.is_code && line.file == file);
        lines.map(|line| line.mapping).collect()
    }

    /// The file whose code lies at an address.
    pub(super) fn code_at(&self, address: usize) -> Option<(&Path, Mapping)> {
        let mut lines = self.lines();
        let line = lines.find(|line| line.is_code && line.mapping.span.contains(&address))?;
        let file = Path::new(OsStr::from_bytes(line.file));
        file.is_absolute().then_some((file, line.mapping))
    }

    /// What is mapped around an address.
    pub(super) fn around(&self, address: usize) -> Option<Range<usize>> {
        let mut spans = self.lines().map(|line| line.mapping.span);
        spans.find(|span| span.contains(&address))
    }

    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.0.split(|byte| *byte == b'\n').filter_map(Line::parse)
    }
}

struct Line<'a> {
    mapping: Mapping,
    is_code: bool,
    file: &'a [u8],
}

impl<'a> Line<'a> {
    /// `7f20-7f30 r-xp 00001000 fe:00 4711    /path`
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut words = line.splitn(6, |byte| *byte == b' ');
        let mut word = || words.next();
        let (span, rights, offset) = (text(word()?)?, word()?, text(word()?)?);
        let (start, end) = span.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let rest = words.nth(2).unwrap_or_default();
        Some(Self {
            mapping: Mapping {
                span: address(start)?..address(end)?,
                offset: u64::from_str_radix(offset, 16).ok()?,
            },
            is_code: rights.get(2) == Some(&b'x'),
            file: rest.trim_ascii_start(),
        })
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The words that lie there, as far as they can be read.
pub(super) fn words(span: Range<usize>) -> Option<Vec<usize>> {
    const WORD: usize = size_of::<usize>();
    let start = span.start.next_multiple_of(WORD);
    let mut bytes = vec![0; span.end.checked_sub(start)?];
    let memory = File::open("/proc/self/mem").ok()?;
    memory.read_exact_at(&mut bytes, start as u64).ok()?;
    let word = |bytes: &[u8; WORD]| usize::from_ne_bytes(*bytes);
    Some(bytes.as_chunks().0.iter().map(word).collect())
}

/// The bytes that lie there, if they can be read.
pub(super) fn bytes<const COUNT: usize>(address: usize) -> Option<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    let memory = File::open("/proc/self/mem").ok()?;
    memory.read_exact_at(&mut bytes, address as u64).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let line = b"7f20-7f30 r-xp 00001000 fe:00 4711                   /a path/lib.so";
        let read = Line::parse(line).expect("a line");
        assert_eq!((read.is_code, read.file), (true, &b"/a path/lib.so"[..]));
        assert_eq!(
            (read.mapping.span, read.mapping.offset),
            (0x7f20..0x7f30, 0x1000)
        );
        let line = b"7f20-7f30 rw-p 00000000 00:00 0 ";
        let read = Line::parse(line).expect("a line");
        assert_eq!((read.is_code, read.file), (false, &b""[..]));
        assert!(Line::parse(b"").is_none());
        assert!(Line::parse(b"no-line at all").is_none());
    }

    #[test]
    fn memory_is_read_where_there_is_some() {
        let values: [usize; 3] = std::hint::black_box([1, 2, 3]);
        let span = values.as_ptr_range();
        let span = span.start.addr()..span.end.addr();
        assert_eq!(words(span.clone()), Some(values.to_vec()));
        let maps = Maps::read().expect("maps");
        let around = maps.around(span.start).expect("the stack");
        assert!(around.contains(&(span.end - 1)));
        assert_eq!(words(0..64), None);
    }
}
