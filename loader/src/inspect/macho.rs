//! Mach-O: the note is the section `__octa` of the segment `__DATA`.

use object::Endianness;
use object::macho::{self, MachHeader32, MachHeader64};
use object::read::macho::{MachHeader, Section as _, Segment as _};

use super::Image;
use super::content::Content;
use super::error::InspectFault;
use super::machine::{Format, Machine};
use super::note::Notes;

const SEGMENT: &[u8] = b"__DATA";
const SECTION: &[u8] = b"__octa";

pub(super) fn read(bytes: &[u8]) -> Result<Image<'_>, InspectFault> {
    let magic = bytes.first_chunk().map(|magic| u32::from_be_bytes(*magic));
    match magic {
        Some(macho::MH_MAGIC | macho::MH_CIGAM) => {
            read_class::<MachHeader32<Endianness>>(bytes, 32)
        }
        _ => read_class::<MachHeader64<Endianness>>(bytes, 64),
    }
}

fn read_class<Mach>(bytes: &[u8], bits: u32) -> Result<Image<'_>, InspectFault>
where
    Mach: MachHeader<Endian = Endianness>,
{
    InspectFault::expect_size(Format::MachO, bytes, size_of::<Mach>() as u64)?;
    let header = Mach::parse(bytes, 0).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    let found = match header.filetype(endian) {
        macho::MH_DYLIB | macho::MH_BUNDLE => None,
        macho::MH_EXECUTE => Some(Content::Program(Format::MachO)),
        _ => Some(Content::Other(Format::MachO)),
    };
    if let Some(found) = found {
        return Err(InspectFault::NotALibrary { found });
    }
    let machine = Machine::macho(header.cputype(endian), bits, header.is_big_endian());
    let manifests = find_manifests(header, endian, bytes)?;
    Ok(Image { machine, manifests })
}

fn find_manifests<'a, Mach>(
    header: &Mach,
    endian: Endianness,
    bytes: &'a [u8],
) -> Result<Vec<&'a [u8]>, InspectFault>
where
    Mach: MachHeader<Endian = Endianness>,
{
    let end = size_of::<Mach>() as u64 + u64::from(header.sizeofcmds(endian));
    InspectFault::expect_size(Format::MachO, bytes, end)?;
    let mut notes = Notes::new(Format::MachO, endian);
    for command in header.load_commands(endian, bytes, 0).map_err(damaged)? {
        let command = command.map_err(damaged)?;
        let Some((segment, sections)) = Mach::Segment::from_command(command).map_err(damaged)?
        else {
            continue;
        };
        let (offset, size) = segment.file_range(endian);
        InspectFault::expect_size(Format::MachO, bytes, offset.saturating_add(size))?;
        for section in segment.sections(endian, sections).map_err(damaged)? {
            if section.segment_name() == SEGMENT && section.name() == SECTION {
                let data = section.data(endian, bytes, section.offset(endian).into());
                let data = data.map_err(|_| InspectFault::DamagedNote {
                    format: Format::MachO,
                })?;
                notes.collect(data, 4)?;
            }
        }
    }
    Ok(notes.into_found())
}

fn damaged(source: object::read::Error) -> InspectFault {
    InspectFault::Damaged {
        format: Format::MachO,
        source,
    }
}
