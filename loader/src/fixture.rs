//! Makes small libraries for the tests of this crate; they are read, never loaded.

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::inspect::{Inspection, inspect};
use crate::source::FileRules;

/// The ELF machine number of this host.
pub(crate) const HOST_MACHINE: u16 = match ARCH.as_bytes() {
    b"aarch64" => 183,
    b"riscv64" => 243,
    _ => 62,
};

/// Offset of the section header table's offset in an ELF header.
pub(crate) const E_SHOFF: usize = 40;
/// Offset of the first program header.
pub(crate) const PROGRAM_HEADERS: usize = 64;
/// Length of a program header.
pub(crate) const PROGRAM_HEADER: usize = 56;

pub(crate) fn manifest() -> Value {
    json!({
        "manifest": "1.0",
        "name": "echo",
        "version": "0.1.0",
        "abi": {"major": 1, "minor": 0, "fingerprint": "00ff00ff00ff00ff"},
        "compiler": "rustc 1.95.0",
        "panic": "unwind",
        "target": format!("{ARCH}-unknown-{}", crate::inspect::System::HOST),
    })
}

/// Bytes that are put together field by field, little-endian.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn name<const LENGTH: usize>(self, name: &str) -> Self {
        let mut field = [0; LENGTH];
        field[..name.len()].copy_from_slice(name.as_bytes());
        self.raw(&field)
    }

    fn u16s<const COUNT: usize>(self, values: [u16; COUNT]) -> Self {
        values
            .iter()
            .fold(self, |bytes, value| bytes.raw(&value.to_le_bytes()))
    }

    fn u32s<const COUNT: usize>(self, values: [u32; COUNT]) -> Self {
        values
            .iter()
            .fold(self, |bytes, value| bytes.raw(&value.to_le_bytes()))
    }

    fn u64s<const COUNT: usize>(self, values: [u64; COUNT]) -> Self {
        values
            .iter()
            .fold(self, |bytes, value| bytes.raw(&value.to_le_bytes()))
    }
}

/// A note of ours around `json`.
pub(crate) fn note(json: &[u8]) -> Vec<u8> {
    let mut bytes = Bytes::default()
        .u32s([5, json.len() as u32, 0x4F43_5441])
        .raw(b"Octa\0\0\0\0")
        .raw(json)
        .0;
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A 64-bit little-endian ELF shared object with `notes`, reached by program header and section.
pub(crate) fn elf(machine: u16, notes: &[u8]) -> Vec<u8> {
    const NAMES: &[u8] = b"\0.note.octa\0.shstrtab\0";
    let notes_at = (PROGRAM_HEADERS + 2 * PROGRAM_HEADER) as u64;
    let notes_size = notes.len() as u64;
    let names_at = notes_at + notes_size;
    let sections_at = names_at + NAMES.len() as u64;
    let end = sections_at + 3 * 64;
    Bytes::default()
        .raw(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        .u16s([3, machine])
        .u32s([1])
        .u64s([0, PROGRAM_HEADERS as u64, sections_at])
        .u32s([0])
        .u16s([64, PROGRAM_HEADER as u16, 2, 64, 3, 2])
        .u32s([1, 4])
        .u64s([0, 0, 0, end, end, 4096])
        .u32s([4, 4])
        .u64s([notes_at, notes_at, notes_at, notes_size, notes_size, 4])
        .raw(notes)
        .raw(NAMES)
        .raw(&[0; 64])
        .u32s([1, 7])
        .u64s([2, notes_at, notes_at, notes_size, 0, 4, 0])
        .u32s([12, 3])
        .u64s([0, 0, names_at, NAMES.len() as u64, 0, 1, 0])
        .0
}

/// A 64-bit Mach-O library for arm64 with a note in its section.
pub(crate) fn macho(note: &[u8]) -> Vec<u8> {
    let (at, size) = (32 + 152, note.len() as u64);
    Bytes::default()
        .u32s([0xfeed_facf, 0x0100_000c, 0, 6, 1, 152, 0, 0])
        .u32s([0x19, 152])
        .name::<16>("__DATA")
        .u64s([at, size, at, size])
        .u32s([3, 3, 1, 0])
        .name::<16>("__octa")
        .name::<16>("__DATA")
        .u64s([at, size])
        .u32s([at as u32, 2, 0, 0, 0, 0, 0, 0])
        .raw(note)
        .0
}

/// A 64-bit PE library for x86-64 with a note in its section.
pub(crate) fn pe(note: &[u8]) -> Vec<u8> {
    let (at, size) = (64 + 24 + 112 + 40, note.len() as u32);
    Bytes::default()
        .raw(b"MZ")
        .raw(&[0; 58])
        .u32s([64])
        .raw(b"PE\0\0")
        .u16s([0x8664, 1])
        .u32s([0, 0, 0])
        .u16s([112, 0x2022])
        .u16s([0x20b])
        .raw(&[0; 110])
        .name::<8>(".octa")
        .u32s([size, at, size, at, 0, 0, 0, 0x4000_0040])
        .raw(note)
        .0
}

/// A plugin for this host.
pub(crate) fn plugin() -> Vec<u8> {
    elf(HOST_MACHINE, &note(manifest().to_string().as_bytes()))
}

/// Writes `content` as a library into `directory`.
pub(crate) fn write(directory: &Path, content: &[u8]) -> PathBuf {
    let path = directory.join(format!("echo.{}", std::env::consts::DLL_EXTENSION));
    fs::write(&path, content).expect("a file");
    path
}

/// An inspected plugin in `directory`.
pub(crate) fn inspected(directory: &Path) -> Inspection {
    let path = write(directory, &plugin());
    inspect(&path, FileRules::default()).expect("a plugin")
}
