//! ELF: the note is found by its program header, else by its section.

use object::Endianness;
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _};

use super::Image;
use super::content::Content;
use super::error::InspectFault;
use super::machine::{Format, Machine};
use super::note::Notes;

/// Name of the section, with the end of the string.
const SECTION: &[u8] = b".note.octa\0";

pub(super) fn read(bytes: &[u8]) -> Result<Image<'_>, InspectFault> {
    match bytes.get(4).map(|class| elf::FileClass(*class)) {
        Some(elf::ELFCLASS32) => read_class::<FileHeader32<Endianness>>(bytes, 32),
        _ => read_class::<FileHeader64<Endianness>>(bytes, 64),
    }
}

fn read_class<Elf>(bytes: &[u8], bits: u32) -> Result<Image<'_>, InspectFault>
where
    Elf: FileHeader<Endian = Endianness>,
{
    InspectFault::expect_size(Format::Elf, bytes, size_of::<Elf>() as u64)?;
    let header = Elf::parse(bytes).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    match header.e_type(endian) {
        elf::ET_DYN => {}
        elf::ET_EXEC => return Err(not_a_library(Content::Program(Format::Elf))),
        _ => return Err(not_a_library(Content::Other(Format::Elf))),
    }
    let machine = Machine::elf(header.e_machine(endian), bits, header.is_big_endian());
    let manifests = find_manifests(header, endian, bytes)?;
    Ok(Image { machine, manifests })
}

fn find_manifests<'a, Elf>(
    header: &Elf,
    endian: Endianness,
    bytes: &'a [u8],
) -> Result<Vec<&'a [u8]>, InspectFault>
where
    Elf: FileHeader<Endian = Endianness>,
{
    expect_tables(header, endian, bytes)?;
    let mut notes = Notes::new(Format::Elf, endian);
    let segments = header.program_headers(endian, bytes).map_err(damaged)?;
    for segment in segments {
        let (offset, size) = segment.file_range(endian);
        if size > 0 && segment.p_type(endian) != elf::PT_NULL {
            InspectFault::expect_size(Format::Elf, bytes, offset.saturating_add(size))?;
        }
    }
    for segment in segments {
        if segment.p_type(endian) == elf::PT_NOTE {
            let data = segment.data(endian, bytes).map_err(|()| DAMAGED_NOTE)?;
            notes.collect(data, segment.p_align(endian).into())?;
        }
    }
    // Some linkers leave the program header out when they are told how to lay segments out.
    if notes.is_empty() {
        collect_sections(header, endian, bytes, &mut notes)?;
    }
    Ok(notes.into_found())
}

fn collect_sections<'a, Elf>(
    header: &Elf,
    endian: Endianness,
    bytes: &'a [u8],
    notes: &mut Notes<'a>,
) -> Result<(), InspectFault>
where
    Elf: FileHeader<Endian = Endianness>,
{
    let sections = header.section_headers(endian, bytes).map_err(damaged)?;
    if sections.is_empty() {
        return Ok(());
    }
    let index = header
        .section_strings_index(endian, bytes)
        .map_err(damaged)?;
    let names = match sections.get(index.0) {
        Some(section) => section.data(endian, bytes).map_err(damaged)?,
        None => return Ok(()),
    };
    for section in sections {
        // Compared in place: looking for the end of each name could take for ever in a file
        // that is made for it.
        let name = names.get(section.sh_name(endian) as usize..);
        if name.is_some_and(|name| name.starts_with(SECTION)) {
            let data = section.data(endian, bytes).map_err(|_| DAMAGED_NOTE)?;
            notes.collect(data, section.sh_addralign(endian).into())?;
        }
    }
    Ok(())
}

/// Tells a file that was cut off from one that is damaged in another way.
fn expect_tables<Elf>(header: &Elf, endian: Endianness, bytes: &[u8]) -> Result<(), InspectFault>
where
    Elf: FileHeader<Endian = Endianness>,
{
    let table = |offset: u64, count: u16, size: u16| {
        let end = offset.saturating_add(u64::from(count) * u64::from(size));
        InspectFault::expect_size(Format::Elf, bytes, end)
    };
    let (count, size) = (header.e_phnum(endian), header.e_phentsize(endian));
    table(header.e_phoff(endian).into(), count, size)?;
    let (count, size) = (header.e_shnum(endian), header.e_shentsize(endian));
    table(header.e_shoff(endian).into(), count, size)
}

const DAMAGED_NOTE: InspectFault = InspectFault::DamagedNote {
    format: Format::Elf,
};

fn damaged(source: object::read::Error) -> InspectFault {
    InspectFault::Damaged {
        format: Format::Elf,
        source,
    }
}

fn not_a_library(found: Content) -> InspectFault {
    InspectFault::NotALibrary { found }
}
