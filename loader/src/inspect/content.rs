//! Tells from its first bytes what a file is; reading a library is the job of its format.

use std::fmt;

use object::{elf, macho, pe};

use super::machine::Format;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Nothing at all.
    Nothing,
    /// Text that people can read.
    Text,
    /// Text that an interpreter runs.
    Script,
    /// A static library.
    Archive,
    /// A WebAssembly module.
    WebAssembly,
    /// Several Mach-O files for different machines in one.
    Universal,
    /// What its magic number says is a binary of this format.
    Library(Format),
    /// A binary of this format that is a program.
    Program(Format),
    /// A binary of this format that is no library and no program.
    Other(Format),
    /// Something else, beginning with these bytes, or with fewer and zeros.
    Unknown([u8; 4]),
}

impl Content {
    /// Judges by the first bytes alone; the headers may then say [`Content::Program`].
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut magic = [0; 4];
        let length = bytes.len().min(magic.len());
        magic[..length].copy_from_slice(&bytes[..length]);
        match magic {
            _ if bytes.is_empty() => Content::Nothing,
            elf::ELFMAG => Content::Library(Format::Elf),
            [b'#', b'!', ..] => Content::Script,
            _ if bytes.starts_with(b"!<arch>\n") || bytes.starts_with(b"!<thin>\n") => {
                Content::Archive
            }
            [0, b'a', b's', b'm'] => Content::WebAssembly,
            _ if is_text(bytes) => Content::Text,
            _ if bytes.starts_with(&pe::IMAGE_DOS_SIGNATURE.to_le_bytes()) => {
                Content::Library(Format::Pe)
            }
            _ => match u32::from_be_bytes(magic) {
                macho::MH_MAGIC | macho::MH_CIGAM | macho::MH_MAGIC_64 | macho::MH_CIGAM_64 => {
                    Content::Library(Format::MachO)
                }
                macho::FAT_MAGIC | macho::FAT_MAGIC_64 => Content::Universal,
                _ => Content::Unknown(magic),
            },
        }
    }

    /// True if a library may still come of it: the first write of a copy may be a short one, and
    /// some linkers write the first bytes last.
    pub(super) fn may_become_library(self) -> bool {
        let Content::Unknown(found) = self else {
            return self == Content::Nothing;
        };
        let length = found.iter().rposition(|byte| *byte != 0);
        let written = &found[..length.map_or(0, |last| last + 1)];
        let macho = [
            macho::MH_MAGIC,
            macho::MH_CIGAM,
            macho::MH_MAGIC_64,
            macho::MH_CIGAM_64,
        ];
        let macho = macho.map(u32::to_be_bytes);
        let mut magics = macho.iter().chain([&elf::ELFMAG]);
        magics.any(|magic| magic.starts_with(written))
    }
}

/// True if the beginning is UTF-8 without control characters.
fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(4096)];
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The cut may go through a character.
        Err(error) if error.error_len().is_none() => {
            str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty()
        && text
            .chars()
            .all(|each| !each.is_control() || each.is_whitespace())
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Nothing => f.write_str("an empty file"),
            Content::Text => f.write_str("text"),
            Content::Script => f.write_str("a script"),
            Content::Archive => f.write_str("a static library"),
            Content::WebAssembly => f.write_str("a WebAssembly module"),
            Content::Universal => f.write_str("a universal Mach-O file"),
            Content::Library(format) => write!(f, "{}", format.library()),
            Content::Program(format) => write!(f, "a program in {format} format"),
            Content::Other(format) => write!(f, "{format} data of another kind"),
            Content::Unknown([a, b, c, d]) => {
                write!(
                    f,
                    "unknown data beginning with `{a:02x} {b:02x} {c:02x} {d:02x}`"
                )
            }
        }
    }
}
