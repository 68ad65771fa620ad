//! Tells damage in the log beside a database file from the torn end that a crash leaves; nothing is touched.
//!
//! SQLite reads a log up to the first frame that does not fit, whichever it is, and drops what comes behind it.

use std::array;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use super::damage::Damage;
use super::files;

// SQLite's file format, sections 4.1 and 4.2.
const HEAD_BYTES: usize = 32;
const FRAME_HEAD_BYTES: usize = 24;
/// What a log begins with; its last bit says how bytes are ordered where they are added up.
const MAGIC: u32 = 0x377f_0682;
/// What a disk writes at once is this long, or some of these.
const SECTOR_BYTES: u64 = 512;
/// As many bytes as a page may have: powers of two.
const PAGE_BITS: std::ops::RangeInclusive<u32> = 9..=16;

/// Looks for damage in the log of a database, before SQLite does: it would empty the log.
pub(super) fn damage(database: &Path) -> io::Result<Option<Damage>> {
    let log = files::log(database);
    let look = || match File::open(&log) {
        Ok(file) => first_damaged(&mut BufReader::new(file)),
        Err(error) if files::is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    };
    // A kernel that has it open may write just now; damage stays where it is.
    let found = look()?;
    let is_there = found.is_some() && look()? == found;
    let frame = found.filter(|_| is_there);
    Ok(frame.map(|frame| Damage::Log { log, frame }))
}

/// The number of the first frame that is damaged; 0 is the head of the log.
pub(super) fn first_damaged(log: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    let mut head = [0; HEAD_BYTES];
    if !fill(log, &mut head)? {
        return Ok(None);
    }
    if let Some(walk) = Walk::new(&head) {
        return walk.through(log);
    }
    // No word of the head can be relied on, so it is tried what it may have said.
    for bits in PAGE_BITS {
        for is_big_endian in [false, true] {
            log.seek(SeekFrom::Start(HEAD_BYTES as u64))?;
            let walk = Walk::without_head(&head, 1 << bits, is_big_endian);
            if let Some(found) = walk.through(log)? {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

/// A checksum of everything up to a place in the log.
type Sum = [u32; 2];

/// Goes through a log as SQLite does, and then on.
///
/// A commit is acknowledged once it is synced, and until then nothing is written behind it. So a crash tears one
/// transaction only, the last, in whatever order its sectors came to the disk; and its last frame alone ends a
/// commit. A frame whose checksum goes on from that of a commit frame was written when that one was synced: if a
/// frame before it does not fit, that was damaged later.
///
/// What else may lie there proves nothing. Frames from before the log was begun anew have other salts. Those of a
/// transaction that was undone do not go on from one that was written over its beginning.
///
/// The head is synced before any frame is written, and lies in one sector, which is written wholly or not at all.
/// So a whole commit proves that a head which does not fit was damaged.
struct Walk {
    page_bytes: usize,
    is_big_endian: bool,
    /// What the frames of this log have, unless the head cannot tell.
    salts: Option<[u32; 2]>,
    /// What the checksum of the next frame may go on from: what is said before it, and what is so.
    before: [Sum; 2],
    first_damaged: Option<u64>,
    /// The frame before ends a commit.
    is_behind_commit: bool,
}

impl Walk {
    /// Begins behind a head; nothing if that is damaged.
    fn new(head: &[u8; HEAD_BYTES]) -> Option<Self> {
        let [magic, _, page_bytes, ..] = words::<8>(head);
        let is_page = page_bytes.is_power_of_two() && PAGE_BITS.contains(&page_bytes.ilog2());
        if magic & !1 != MAGIC || !is_page {
            return None;
        }
        let walk = Self::without_head(head, page_bytes as usize, magic & 1 == 1);
        let [said, found] = walk.before;
        let [.., salt, other_salt, _, _] = words::<8>(head);
        (said == found).then_some(Self {
            salts: Some([salt, other_salt]),
            first_damaged: None,
            ..walk
        })
    }

    /// Begins behind a damaged head.
    fn without_head(head: &[u8; HEAD_BYTES], page_bytes: usize, is_big_endian: bool) -> Self {
        let [.., said, other_said] = words::<8>(head);
        let found = sum([0; 2], &head[..HEAD_BYTES - 8], is_big_endian);
        Self {
            page_bytes,
            is_big_endian,
            salts: None,
            before: [[said, other_said], found],
            first_damaged: Some(0),
            is_behind_commit: false,
        }
    }

    fn through(mut self, log: &mut impl Read) -> io::Result<Option<u64>> {
        let mut frame = vec![0; FRAME_HEAD_BYTES + self.page_bytes];
        let mut number = 0;
        while fill(log, &mut frame)? {
            number += 1;
            if self.proves_damage(number, &frame) {
                return Ok(self.first_damaged);
            }
        }
        Ok(None)
    }

    /// Takes the next frame; tells whether it was written when one that is damaged had been synced.
    fn proves_damage(&mut self, number: u64, frame: &[u8]) -> bool {
        let [page, pages_in_all, salt, other_salt, said, other_said] = words::<6>(frame);
        let said = [said, other_said];
        let [found, otherwise] = self.sums(frame);
        let is_ours = self.salts.is_none_or(|it| it == [salt, other_salt]);
        let fits = is_ours && page != 0 && [found, otherwise].contains(&said);
        self.before = [said, found];
        if self.first_damaged.is_none() {
            if fits {
                return false;
            }
            self.first_damaged = Some(number);
        }
        // Where a frame does not fit, half of its head may be an older one, if it lies in two sectors.
        let is_commit = pages_in_all != 0 && (fits || self.is_head_in_one_sector(number));
        let is_behind_synced = self.is_behind_commit || is_commit && self.first_damaged == Some(0);
        self.is_behind_commit = is_commit;
        fits && is_behind_synced
    }

    fn is_head_in_one_sector(&self, number: u64) -> bool {
        let frame_bytes = (FRAME_HEAD_BYTES + self.page_bytes) as u64;
        let begin = HEAD_BYTES as u64 + (number - 1) * frame_bytes;
        begin % SECTOR_BYTES <= SECTOR_BYTES - FRAME_HEAD_BYTES as u64
    }

    fn sums(&self, frame: &[u8]) -> [Sum; 2] {
        let (head, page) = frame.split_at(FRAME_HEAD_BYTES);
        let of = |before| {
            let head = sum(before, &head[..8], self.is_big_endian);
            sum(head, page, self.is_big_endian)
        };
        let [said, found] = self.before;
        let first = of(said);
        [first, if found == said { first } else { of(found) }]
    }
}

/// Adds bytes up, eight at a time.
fn sum(before: Sum, bytes: &[u8], is_big_endian: bool) -> Sum {
    let number = match is_big_endian {
        true => u32::from_be_bytes,
        false => u32::from_le_bytes,
    };
    let (pairs, _) = bytes.as_chunks::<8>();
    pairs.iter().fold(before, |[first, second], pair| {
        let [a, b, c, d, e, f, g, h] = *pair;
        let first = first
            .wrapping_add(number([a, b, c, d]))
            .wrapping_add(second);
        let second = second
            .wrapping_add(number([e, f, g, h]))
            .wrapping_add(first);
        [first, second]
    })
}

/// The first numbers of a head, which must have as many.
fn words<const N: usize>(head: &[u8]) -> [u32; N] {
    let (words, _) = head.as_chunks::<4>();
    array::from_fn(|at| u32::from_be_bytes(words[at]))
}

/// Reads the next part; tells whether it is all there.
fn fill(log: &mut impl Read, part: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(part) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
