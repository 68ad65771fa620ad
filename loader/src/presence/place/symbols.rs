//! The functions of a library's file, by where they are mapped.

use std::{fs::File, path::Path};

use object::{
    NativeEndian, Object as _, ObjectSegment as _, ReadCache, ReadRef, SegmentFlags, SymbolKind,
    elf, read::elf::ElfFile,
};

use super::memory::Mapping;

#[cfg(target_pointer_width = "64")]
pub(super) type Header = elf::FileHeader64<NativeEndian>;
#[cfg(target_pointer_width = "32")]
pub(super) type Header = elf::FileHeader32<NativeEndian>;

/// The code of one library: where it is mapped, what it is, and what its functions are called.
pub(super) struct Code {
    code: Vec<Mapped>,
    /// In the order of their addresses.
    functions: Vec<Function>,
}

/// A stretch of code.
struct Mapped {
    mapping: Mapping,
    /// The address in the file's own terms at which it begins.
    address: u64,
    bytes: Vec<u8>,
}

struct Function {
    address: u64,
    /// Zero if the file does not say.
    size: u64,
    /// As the linker knows it.
    name: String,
}

impl Code {
    /// `None` if the file cannot be read.
    pub(super) fn read(file: &Path, mapped: Vec<Mapping>) -> Option<Self> {
        let cache = ReadCache::new(File::open(file).ok()?);
        let file = ElfFile::<Header, _>::parse(&cache).ok()?;
        let mapped = mapped
            .into_iter()
            .filter_map(|mapping| Mapped::find(&file, mapping));
        let mut functions: Vec<_> = file.symbols().filter_map(|it| Function::of(&it)).collect();
        if functions.is_empty() {
            // Stripped: what others can call is left.
            functions.extend(file.dynamic_symbols().filter_map(|it| Function::of(&it)));
        }
        functions.sort_by_key(|function| function.address);
        Some(Self {
            code: mapped.collect(),
            functions,
        })
    }

    /// The name of the function that the instruction at this address belongs to; `None` if it is
    /// none of the library, or of no function that is known.
    pub(super) fn function_at(&self, address: usize) -> Option<String> {
        let (mapped, within) = self.find(address)?;
        let address = mapped.address + within as u64;
        let after = self.functions.partition_point(|it| it.address <= address);
        let function = &self.functions[after.checked_sub(1)?];
        let is_in = function.size == 0 || address - function.address < function.size;
        is_in.then(|| format!("{:#}", rustc_demangle::demangle(&function.name)))
    }

    /// Whether what is called there would return to this address.
    pub(super) fn is_after_call(&self, address: usize) -> bool {
        let found = address.checked_sub(1).and_then(|last| self.find(last));
        found.is_some_and(|(mapped, last)| ends_with_call(&mapped.bytes[..=last]))
    }

    fn find(&self, address: usize) -> Option<(&Mapped, usize)> {
        let mut code = self.code.iter();
        let mapped = code.find(|it| it.mapping.span.contains(&address))?;
        let within = address - mapped.mapping.span.start;
        (within < mapped.bytes.len()).then_some((mapped, within))
    }
}

impl Mapped {
    /// Finds in the file what is mapped.
    fn find<'a, R: ReadRef<'a>>(file: &ElfFile<'a, Header, R>, mapping: Mapping) -> Option<Self> {
        let (start, end) = (mapping.offset, mapping.offset + mapping.span.len() as u64);
        let is_code = |flags| matches!(flags, SegmentFlags::Elf { p_flags, .. } if p_flags & elf::PF_X == elf::PF_X);
        file.segments()
            .filter(|it| is_code(it.flags()))
            .find_map(|segment| {
                let (offset, size) = segment.file_range();
                // Mappings begin and end with pages.
                let from = offset.max(start);
                let to = (offset + size).min(end);
                let bytes = segment.data().ok()?;
                let within = usize::try_from(from - offset).ok()?
                    ..usize::try_from(to.checked_sub(offset)?).ok()?;
                let mut all = vec![0; usize::try_from(from - start).ok()?];
                all.extend_from_slice(bytes.get(within)?);
                Some(Self {
                    address: segment.address().wrapping_sub(offset).wrapping_add(start),
                    mapping: mapping.clone(),
                    bytes: all,
                })
            })
    }
}

impl Function {
    fn of<'a>(symbol: &impl object::ObjectSymbol<'a>) -> Option<Self> {
        let is_function = symbol.kind() == SymbolKind::Text && symbol.is_definition();
        let name = symbol.name().ok().filter(|_| is_function)?;
        Some(Self {
            address: symbol.address(),
            size: symbol.size(),
            name: name.to_owned(),
        })
    }
}

/// Whether the last of these bytes may be a call.
#[cfg(target_arch = "x86_64")]
fn ends_with_call(code: &[u8]) -> bool {
    let back = |bytes: usize| code.len().checked_sub(bytes).map(|at| &code[at..]);
    // To a distance; or to what a register or memory says, in two to seven bytes.
    let is_near = back(5).is_some_and(|call| call[0] == 0xe8);
    is_near || (2..=7).any(|bytes| back(bytes).is_some_and(is_indirect))
}

/// `ff /2`, whose second byte says how long it is.
#[cfg(target_arch = "x86_64")]
fn is_indirect(call: &[u8]) -> bool {
    // A prefix for the upper registers may stand before it.
    let call = match call {
        [0x41, rest @ ..] => rest,
        call => call,
    };
    let [0xff, kind, rest @ ..] = call else {
        return false;
    };
    let (mode, operation, base) = (kind >> 6, (kind >> 3) & 7, kind & 7);
    let scaled = usize::from(mode != 3 && base == 4);
    let distance = match (mode, base) {
        (0, 5) | (2, _) => 4,
        (1, _) => 1,
        _ => 0,
    };
    operation == 2 && rest.len() == scaled + distance
}

#[cfg(target_arch = "aarch64")]
fn ends_with_call(code: &[u8]) -> bool {
    let last = code
        .last_chunk::<4>()
        .map(|bytes| u32::from_le_bytes(*bytes));
    last.is_some_and(|it| it & 0xfc00_0000 == 0x9400_0000 || it & 0xffff_fc1f == 0xd63f_0000)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn ends_with_call(_: &[u8]) -> bool {
    true
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_what_is_none() {
        let check = |code: &[u8], expect| assert_eq!(ends_with_call(code), expect, "{code:x?}");
        check(&[0xe8, 1, 2, 3, 4], true);
        check(&[0x90, 0xe8, 1, 2, 3, 4], true);
        // call rax; call r8; call [rax]; call [rax+8]; call [rip+…]; call [rsp+8]
        check(&[0xff, 0xd0], true);
        check(&[0x41, 0xff, 0xd0], true);
        check(&[0xff, 0x10], true);
        check(&[0xff, 0x50, 8], true);
        check(&[0xff, 0x15, 1, 2, 3, 4], true);
        check(&[0xff, 0x54, 0x24, 8], true);
        // jmp rax; nothing; a distance that is cut short
        check(&[0xff, 0xe0], false);
        check(&[], false);
        check(&[0xff, 0x15, 1, 2, 3], false);
        check(&[0x90, 0x90, 0x90], false);
    }
}
