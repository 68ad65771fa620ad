//! Forges plugin files: copies of real ones with something changed, in their headers or in the
//! manifest that they carry.

use crate::{fixtures, home::read};

/// Where a manifest begins.
const BEGIN: &[u8] = br#"{"manifest":"#;

/// A fixture whose manifest says something else: each pair is a text and what takes its place.
pub(crate) fn manifest(fixture: &str, changes: &[(&str, &str)]) -> Vec<u8> {
    rewritten(fixture, |text| {
        changes.iter().fold(text.to_owned(), |text, (from, to)| {
            assert!(
                text.contains(from),
                "the manifest of `{fixture}` has no `{from}`: {text}"
            );
            text.replace(from, to)
        })
    })
}

/// A fixture whose manifest is another text, which must not be longer.
pub(crate) fn rewritten(fixture: &str, rewrite: impl FnOnce(&str) -> String) -> Vec<u8> {
    let mut library = read(&fixtures::library(fixture));
    let begin = position(&library, BEGIN);
    // The note before it says how long it is: 4 bytes of the name's length, then these.
    let header = begin - 20;
    let length: [u8; 4] = library[header + 4..header + 8]
        .try_into()
        .expect("four bytes");
    let manifest = &mut library[begin..begin + u32::from_le_bytes(length) as usize];
    let text = rewrite(std::str::from_utf8(manifest).expect("a manifest is text"));
    assert!(
        text.len() <= manifest.len(),
        "the forged manifest has no room: {text}"
    );
    manifest.fill(b' ');
    manifest[..text.len()].copy_from_slice(text.as_bytes());
    library
}

fn position(bytes: &[u8], what: &[u8]) -> usize {
    let mut windows = bytes.windows(what.len());
    windows
        .position(|window| window == what)
        .expect("it is there")
}
