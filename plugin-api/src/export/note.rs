//! The note in the compiled file that carries the manifest. Where it lies and what its bytes
//! mean is said in `octa_plugin_abi::manifest`.

use octa_plugin_abi::manifest::{NOTE_NAME, NOTE_TYPE};

use crate::schema::{Piece, write};

/// The note, with a manifest of `N` bytes. Its alignment pads it to a multiple of 4.
#[repr(C, align(4))]
#[derive(Debug)]
pub struct Note<const N: usize> {
    name_size: [u8; 4],
    manifest_size: [u8; 4],
    kind: [u8; 4],
    name: [u8; 8],
    manifest: [u8; N],
}

impl<const N: usize> Note<N> {
    /// The note with the manifest that the pieces make up.
    ///
    /// # Panics
    /// If `N` is not the length of the pieces.
    pub const fn new(manifest: &[Piece]) -> Self {
        let mut name = [0; 8];
        name.split_at_mut(NOTE_NAME.len())
            .0
            .copy_from_slice(NOTE_NAME);
        Self {
            name_size: (NOTE_NAME.len() as u32).to_le_bytes(),
            manifest_size: (N as u32).to_le_bytes(),
            kind: NOTE_TYPE.to_le_bytes(),
            name,
            manifest: write(manifest),
        }
    }

    /// The manifest's text.
    ///
    /// # Panics
    /// Never: it was written as text.
    pub const fn manifest(&self) -> &str {
        match str::from_utf8(&self.manifest) {
            Ok(manifest) => manifest,
            Err(_) => panic!("the pieces of a manifest are text"),
        }
    }
}

/// Whether the name of a package is one for a plugin, too.
pub const fn is_plugin_name(name: &str) -> bool {
    let name = name.as_bytes();
    let mut index = 0;
    while index < name.len() {
        match name[index] {
            b'a'..=b'z' => {}
            b'0'..=b'9' | b'-' if index > 0 => {}
            _ => return false,
        }
        index += 1;
    }
    !name.is_empty() && name.len() <= 64
}
