//! Where the manifest lies in a compiled plugin, and the version of its format.
//!
//! The bytes are one ELF note in every object format: `namesz` 5, `descsz`, `type`
//! [`NOTE_TYPE`] (all `u32`, little endian), the name `"Octa\0"` padded to 8 bytes, then the
//! manifest as UTF-8 JSON, padded to a multiple of 4. In ELF it is found by its program header
//! even where the section table is stripped.

/// The section of an ELF file.
pub const ELF_SECTION: &str = ".note.octa";
/// The segment and section of a Mach-O file.
pub const MACHO_SECTION: &str = "__DATA,__octa";
/// The section of a PE file (names there have at most 8 characters).
pub const PE_SECTION: &str = ".octa";
/// The note's owner, with its terminating zero.
pub const NOTE_NAME: &[u8; 5] = b"Octa\0";
/// The note's type: `OCTA` in ASCII.
pub const NOTE_TYPE: u32 = 0x4F43_5441;
/// The format's version, `major.minor`. A reader refuses another major, and ignores unknown
/// fields only of a newer minor.
pub const FORMAT: &str = "1.1";
