//! The note that carries a manifest: a header, our name, the JSON.
//!
//! ELF knows such notes; Mach-O and PE files have the same bytes in a section of their own.
//! Where to look is the job of `elf`, `macho` and `pe`.

use object::{Endian, Endianness};

use super::error::InspectFault;
use super::machine::Format;

/// The owner's name in the note.
pub(super) const NAME: &[u8; 5] = b"Octa\0";
/// The type of the note: `OCTA`.
pub(super) const TYPE: u32 = 0x4F43_5441;

/// Most notes that are looked at in one file; linkers write a handful.
const NOTES_MAX: usize = 4096;

/// Collects the manifests from the notes of one file.
#[derive(Debug)]
pub(super) struct Notes<'a> {
    format: Format,
    endian: Endianness,
    looked_at: usize,
    found: Vec<&'a [u8]>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(format: Format, endian: Endianness) -> Self {
        Notes {
            format,
            endian,
            looked_at: 0,
            found: Vec::new(),
        }
    }

    /// Looks through `data`, whose notes are padded to `align`.
    ///
    /// Headers may lead to the same bytes twice; they count once.
    pub(super) fn collect(&mut self, mut data: &'a [u8], align: u64) -> Result<(), InspectFault> {
        let align = if align == 8 { 8 } else { 4 };
        // What is too short for a header is padding at the end of a section.
        while data.len() >= 12 {
            self.looked_at += 1;
            let note = (self.looked_at <= NOTES_MAX)
                .then(|| Note::split(data, self.endian, align))
                .flatten()
                .ok_or(InspectFault::DamagedNote {
                    format: self.format,
                })?;
            let known = |each: &&[u8]| each.as_ptr() == note.content.as_ptr();
            if note.is_ours() && !self.found.iter().any(known) {
                self.found.push(note.content);
            }
            data = note.rest;
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn into_found(self) -> Vec<&'a [u8]> {
        self.found
    }
}

struct Note<'a> {
    kind: u32,
    name: &'a [u8],
    content: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Note<'a> {
    /// Splits the first note off; `None` if it does not fit in `data`.
    fn split(data: &'a [u8], endian: Endianness, align: usize) -> Option<Self> {
        let word = |index: usize| {
            let bytes = data.get(4 * index..)?.first_chunk()?;
            Some(endian.read_u32(*bytes))
        };
        let name_end = usize::try_from(word(0)?).ok()?.checked_add(12)?;
        let start = name_end.checked_next_multiple_of(align)?;
        let end = usize::try_from(word(1)?).ok()?.checked_add(start)?;
        Some(Note {
            kind: word(2)?,
            name: data.get(12..name_end)?,
            content: data.get(start..end)?,
            // The last note may be without its padding.
            rest: data
                .get(end.checked_next_multiple_of(align)?..)
                .unwrap_or_default(),
        })
    }

    fn is_ours(&self) -> bool {
        self.kind == TYPE && self.name == NAME
    }
}
