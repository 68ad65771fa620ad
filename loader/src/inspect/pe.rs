//! PE: the note is the section `.octa`.

use object::pe::{
    self, ImageDosHeader, ImageFileHeader, ImageNtHeaders32, ImageNtHeaders64, ImageSectionHeader,
};
use object::read::ReadRef as _;
use object::read::pe::{ImageNtHeaders, optional_header_magic};
use object::{Endianness, LittleEndian as LE};

use super::Image;
use super::content::Content;
use super::error::InspectFault;
use super::machine::{Format, Machine};
use super::note::Notes;

/// Name of the section, as the header holds it.
const SECTION: &[u8; 8] = b".octa\0\0\0";

pub(super) fn read(bytes: &[u8]) -> Result<Image<'_>, InspectFault> {
    InspectFault::expect_size(Format::Pe, bytes, size_of::<ImageDosHeader>() as u64)?;
    let dos = ImageDosHeader::parse(bytes).map_err(damaged)?;
    expect_tables(dos.nt_headers_offset().into(), bytes)?;
    match optional_header_magic(bytes).map_err(damaged)? {
        pe::IMAGE_NT_OPTIONAL_HDR32_MAGIC => read_class::<ImageNtHeaders32>(dos, bytes, 32),
        _ => read_class::<ImageNtHeaders64>(dos, bytes, 64),
    }
}

fn read_class<'a, Pe: ImageNtHeaders>(
    dos: &ImageDosHeader,
    bytes: &'a [u8],
    bits: u32,
) -> Result<Image<'a>, InspectFault> {
    let mut offset = dos.nt_headers_offset().into();
    let (headers, _) = Pe::parse(bytes, &mut offset).map_err(damaged)?;
    let header = headers.file_header();
    if !header.characteristics.get(LE).contains(pe::IMAGE_FILE_DLL) {
        return Err(InspectFault::NotALibrary {
            found: Content::Program(Format::Pe),
        });
    }
    let machine = Machine::pe(header.machine.get(LE), bits);
    let sections = headers.sections(bytes, offset).map_err(damaged)?;
    let mut notes = Notes::new(Format::Pe, Endianness::Little);
    for section in sections.iter() {
        let start = u64::from(section.pointer_to_raw_data.get(LE));
        let end = start + u64::from(section.size_of_raw_data.get(LE));
        InspectFault::expect_size(Format::Pe, bytes, end)?;
        if section.name == *SECTION {
            notes.collect(section.pe_data(bytes).map_err(damaged)?, 4)?;
        }
    }
    Ok(Image {
        machine,
        manifests: notes.into_found(),
    })
}

/// Tells a file that was cut off from one that is damaged in another way.
fn expect_tables(start: u64, bytes: &[u8]) -> Result<(), InspectFault> {
    let expect = |end| InspectFault::expect_size(Format::Pe, bytes, end);
    // The smaller kind, for a start.
    expect(start + size_of::<ImageNtHeaders32>() as u64)?;
    let mut offset = start + size_of::<u32>() as u64;
    let Ok(header) = bytes.read::<ImageFileHeader>(&mut offset) else {
        return Ok(());
    };
    let sections = u64::from(header.number_of_sections.get(LE));
    let optional = u64::from(header.size_of_optional_header.get(LE));
    expect(offset + optional + sections * size_of::<ImageSectionHeader>() as u64)?;
    // The table of symbols comes last in a file; most have none.
    let symbols = u64::from(header.number_of_symbols.get(LE));
    let symbols_at = u64::from(header.pointer_to_symbol_table.get(LE));
    expect(symbols_at + symbols * pe::IMAGE_SIZEOF_SYMBOL as u64)
}

fn damaged(source: object::read::Error) -> InspectFault {
    InspectFault::Damaged {
        format: Format::Pe,
        source,
    }
}
