//! What a library asks the system for, as its file says.

use std::{fs::File, path::Path};

use object::{
    LittleEndian as LE, ReadCache,
    read::pe::{ImageNtHeaders, ImageThunkData as _, ImportTable, PeFile},
};

#[cfg(target_pointer_width = "64")]
type Headers = object::pe::ImageNtHeaders64;
#[cfg(target_pointer_width = "32")]
type Headers = object::pe::ImageNtHeaders32;

/// Functions that have a library called later, on threads that begin elsewhere, or when a thread
/// or the console ends. `CreateThread` is none of them: where a thread began is known.
const UNSEEN: [&[u8]; 16] = [
    b"_beginthread",
    b"_beginthreadex",
    b"BindIoCompletionCallback",
    b"CreateThreadpoolIo",
    b"CreateThreadpoolTimer",
    b"CreateThreadpoolWait",
    b"CreateThreadpoolWork",
    b"CreateTimerQueueTimer",
    b"FlsAlloc",
    b"QueueUserWorkItem",
    b"RegisterWaitForSingleObject",
    b"SetConsoleCtrlHandler",
    b"SetWinEventHook",
    b"SetWindowsHookExW",
    b"timeSetEvent",
    b"TrySubmitThreadpoolCallback",
];

/// What matters of the imports.
#[derive(Debug, Default)]
pub(super) struct Imports {
    /// The first function whose effects are not seen.
    pub(super) unseen: Option<String>,
    /// Where the address of `TlsAlloc` is put, from the library's first byte on.
    pub(super) tls_alloc: Option<usize>,
    /// The same of `TlsFree`.
    pub(super) tls_free: Option<usize>,
}

impl Imports {
    /// Reads them from a library's file; `None` if that cannot be read.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let cache = ReadCache::new(File::open(path).ok()?);
        let file = PeFile::<Headers, _>::parse(&cache).ok()?;
        match file.import_table().ok()? {
            Some(table) => Self::from_table(&table),
            None => Some(Self::default()),
        }
    }

    fn from_table(table: &ImportTable<'_>) -> Option<Self> {
        let mut imports = Self::default();
        let mut libraries = table.descriptors().ok()?;
        while let Some(library) = libraries.next().ok()? {
            let slots = library.first_thunk.get(LE);
            let names = match library.original_first_thunk.get(LE) {
                0 => slots,
                names => names,
            };
            let mut names = table.thunks(names).ok()?;
            let mut slot = usize::try_from(slots).ok()?;
            while let Some(name) = names.next::<Headers>().ok()? {
                if !name.is_ordinal() {
                    imports.note(table.hint_name(name.address()).ok()?.1, slot);
                }
                slot += size_of::<<Headers as ImageNtHeaders>::ImageThunkData>();
            }
        }
        Some(imports)
    }

    fn note(&mut self, function: &[u8], slot: usize) {
        match function {
            b"TlsAlloc" => self.tls_alloc = Some(slot),
            b"TlsFree" => self.tls_free = Some(slot),
            _ if self.unseen.is_none() && UNSEEN.contains(&function) => {
                self.unseen = Some(String::from_utf8_lossy(function).into_owned());
            }
            _ => {}
        }
    }
}
