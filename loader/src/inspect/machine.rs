//! The machines that libraries are compiled for, and the one that this code runs on.

use std::env::consts::ARCH;
use std::fmt;

use object::{elf, macho, pe};

/// Format of a compiled file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Linux, the BSDs, Android.
    Elf,
    /// macOS, iOS.
    MachO,
    /// Windows.
    Pe,
}

impl Format {
    /// The format of this host.
    pub const HOST: Format = if cfg!(windows) {
        Format::Pe
    } else if cfg!(target_vendor = "apple") {
        Format::MachO
    } else {
        Format::Elf
    };

    /// Names a library of this format, with its article.
    pub fn library(self) -> &'static str {
        match self {
            Format::Elf => "an ELF shared object",
            Format::MachO => "a Mach-O dynamic library",
            Format::Pe => "a PE dynamic-link library",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Elf => "ELF",
            Format::MachO => "Mach-O",
            Format::Pe => "PE",
        })
    }
}

/// A kind of machine code, and the format that it comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Machine {
    /// Format of the file.
    pub format: Format,
    /// The processor, as Rust names it, or `unknown`.
    pub architecture: &'static str,
    /// Width of a pointer.
    pub bits: u32,
    /// True if the most significant byte comes first.
    pub big_endian: bool,
}

impl Machine {
    /// The machine that this code was compiled for.
    pub const HOST: Machine = Machine {
        format: Format::HOST,
        architecture: ARCH,
        bits: usize::BITS,
        big_endian: cfg!(target_endian = "big"),
    };

    pub(super) fn elf(machine: elf::Machine, bits: u32, big_endian: bool) -> Self {
        let architecture = match machine {
            elf::EM_X86_64 => "x86_64",
            elf::EM_386 => "x86",
            elf::EM_AARCH64 => "aarch64",
            elf::EM_ARM => "arm",
            elf::EM_RISCV if bits == 32 => "riscv32",
            elf::EM_RISCV => "riscv64",
            elf::EM_PPC => "powerpc",
            elf::EM_PPC64 => "powerpc64",
            elf::EM_S390 => "s390x",
            elf::EM_LOONGARCH if bits == 64 => "loongarch64",
            elf::EM_MIPS if bits == 32 => "mips",
            elf::EM_MIPS => "mips64",
            elf::EM_SPARCV9 => "sparc64",
            _ => "unknown",
        };
        Machine {
            format: Format::Elf,
            architecture,
            bits,
            big_endian,
        }
    }

    pub(super) fn macho(cpu: macho::CpuType, bits: u32, big_endian: bool) -> Self {
        let architecture = match cpu {
            macho::CPU_TYPE_X86_64 => "x86_64",
            macho::CPU_TYPE_X86 => "x86",
            macho::CPU_TYPE_ARM64 => "aarch64",
            macho::CPU_TYPE_ARM => "arm",
            _ => "unknown",
        };
        Machine {
            format: Format::MachO,
            architecture,
            bits,
            big_endian,
        }
    }

    pub(super) fn pe(machine: pe::Machine, bits: u32) -> Self {
        let architecture = match machine {
            pe::IMAGE_FILE_MACHINE_AMD64 => "x86_64",
            pe::IMAGE_FILE_MACHINE_I386 => "x86",
            pe::IMAGE_FILE_MACHINE_ARM64 => "aarch64",
            pe::IMAGE_FILE_MACHINE_ARMNT => "arm",
            _ => "unknown",
        };
        Machine {
            format: Format::Pe,
            architecture,
            bits,
            big_endian: false,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = if self.big_endian { "big" } else { "little" };
        let Machine {
            format,
            architecture,
            bits,
            ..
        } = self;
        write!(f, "{architecture} ({format}, {bits}-bit, {order}-endian)")
    }
}
