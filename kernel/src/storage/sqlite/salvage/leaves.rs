//! The names that the pages of a database file begin with, read past SQLite: whether a page is in use, and where in
//! the tree, is not asked.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use super::super::page::number;
use super::Name;

/// What the pages begin with that hold records: leaves of a table without row numbers.
const LEAF: u8 = 10;
/// Where the number of the page of the schema begins, behind the head of the file.
const HEAD: usize = 8;

/// The first names of all pages that have some, in order.
pub(super) fn firsts(file: &Path, page_bytes: usize) -> Vec<Name> {
    let Ok(file) = File::open(file) else {
        return Vec::new();
    };
    let mut file = BufReader::with_capacity(page_bytes.max(1 << 16), file);
    let mut page = vec![0; page_bytes];
    let mut names = Vec::new();
    while page_bytes > HEAD && file.read_exact(&mut page).is_ok() {
        names.extend(first(&page));
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// The name of the first record of a page: SQLite's file format, sections 1.6 and 2.1.
fn first(page: &[u8]) -> Option<Name> {
    if page.first() != Some(&LEAF) {
        return None;
    }
    let mut at = usize::from(u16::from_be_bytes([*page.get(HEAD)?, *page.get(HEAD + 1)?]));
    let _row_bytes = number(page, &mut at)?;
    let head = at;
    let head_bytes = usize::try_from(number(page, &mut at)?).ok()?;
    // The two columns of the key come first.
    let [namespace, key] = [number(page, &mut at)?, number(page, &mut at)?];
    let body = head.checked_add(head_bytes)?;
    let (namespace, rest) = text(page.get(body..)?, namespace)?;
    let (key, _) = text(rest, key)?;
    Some(Name { namespace, key })
}

/// A text of the type that the head of a record tells.
fn text(body: &[u8], kind: u64) -> Option<(String, &[u8])> {
    let bytes = kind.checked_sub(13).filter(|rest| rest.is_multiple_of(2))? / 2;
    let (text, rest) = body.split_at_checked(usize::try_from(bytes).ok()?)?;
    Some((str::from_utf8(text).ok()?.to_owned(), rest))
}
