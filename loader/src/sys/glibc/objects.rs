//! Which objects are mapped, and what each says of itself.

use std::{
    ffi::{CStr, OsStr, c_int},
    fs::File,
    ops::Range,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use libc::{c_void, dl_phdr_info, size_t};
use object::{
    NativeEndian, Object as _, ObjectSymbol as _, ReadCache, SymbolFlags, elf, read::elf::ElfFile,
};

#[cfg(target_pointer_width = "64")]
type Header = elf::FileHeader64<NativeEndian>;
#[cfg(target_pointer_width = "32")]
type Header = elf::FileHeader32<NativeEndian>;

/// Functions that start threads or make keys behind our back.
const UNSEEN: [&[u8]; 8] = [
    b"thrd_create",
    b"tss_create",
    b"clone",
    b"timer_create",
    b"mq_notify",
    b"getaddrinfo_a",
    b"lio_listio",
    b"on_exit",
];

/// A mapped object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) path: PathBuf,
    /// From its first to its last byte in memory.
    pub(super) span: Range<usize>,
}

/// All objects that are mapped now.
pub(super) fn mapped() -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::new();
    // SAFETY: `note` takes what is passed here, and keeps nothing of it.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut objects).cast()) };
    objects
}

unsafe extern "C" fn note(info: *mut dl_phdr_info, _: size_t, objects: *mut c_void) -> c_int {
    // SAFETY: `dl_iterate_phdr` lends a filled structure for this call.
    let info = unsafe { &*info };
    // SAFETY: `mapped` passes its list, and uses it again only afterwards.
    let objects = unsafe { &mut *objects.cast::<Vec<Object>>() };
    if info.dlpi_phdr.is_null() || info.dlpi_name.is_null() {
        return 0;
    }
    // SAFETY: the object has that many program headers, and stays mapped during this call.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let loaded = headers
        .iter()
        .filter(|header| header.p_type == libc::PT_LOAD);
    let ends = loaded.map(|header| {
        let start = (info.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
        start..start.wrapping_add(header.p_memsz as usize)
    });
    let span = ends.reduce(|all, one| all.start.min(one.start)..all.end.max(one.end));
    // SAFETY: the name is a C string that stays during this call.
    let name = unsafe { CStr::from_ptr(info.dlpi_name) };
    objects.extend(span.map(|span| Object {
        path: Path::new(OsStr::from_bytes(name.to_bytes())).to_owned(),
        span,
    }));
    0
}

/// What an object's file says of it.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The name that others need it under.
    name: Option<Vec<u8>>,
    /// The names of the libraries that it needs.
    pub(super) needs: Vec<Vec<u8>>,
    /// Whether it was linked so that it is never unmapped.
    pub(super) stays: bool,
    /// Whether it has symbols that are one in the whole process: then whoever defines them first
    /// is never unmapped.
    has_unique_symbols: bool,
    /// The first function it asks for whose effects are not seen.
    pub(super) unseen: Option<String>,
}

impl Facts {
    /// Reads them from the file of an object. What cannot be read is not known.
    pub(super) fn of(path: &Path) -> Self {
        Self::read(path).unwrap_or_default()
    }

    fn read(path: &Path) -> Option<Self> {
        let cache = ReadCache::new(File::open(path).ok()?);
        let file = ElfFile::<Header, _>::parse(&cache).ok()?;
        let mut facts = Self::default();
        let table = file.elf_dynamic_table().ok()?;
        for entry in table.iter() {
            let text = || table.string(entry).ok().map(<[u8]>::to_vec);
            match entry.tag {
                elf::DT_NEEDED => facts.needs.extend(text()),
                elf::DT_SONAME => facts.name = text(),
                elf::DT_FLAGS_1 => facts.stays = entry.val & elf::DF_1_NODELETE.0 != 0,
                _ => {}
            }
        }
        for symbol in file.dynamic_symbols() {
            let name = symbol.name_bytes().unwrap_or_default();
            if symbol.is_undefined() && UNSEEN.contains(&name) && facts.unseen.is_none() {
                facts.unseen = Some(String::from_utf8_lossy(name).into_owned());
            }
            if let SymbolFlags::Elf { st_info, .. } = symbol.flags() {
                let is_unique = st_info.st_bind() == elf::STB_GNU_UNIQUE;
                facts.has_unique_symbols |= is_unique && !symbol.is_undefined();
            }
        }
        Some(facts)
    }

    /// Whether the object is one that stays, once it is mapped.
    pub(super) fn cannot_go(&self) -> bool {
        self.stays || self.has_unique_symbols || self.unseen.is_some()
    }

    /// Whether a library that lies at `path` goes by a name that others need.
    pub(super) fn is_called(&self, path: &Path, needed: &[u8]) -> bool {
        self.name.as_deref() == Some(needed)
            || path.as_os_str().as_bytes() == needed
            || path
                .file_name()
                .is_some_and(|name| name.as_bytes() == needed)
    }
}
