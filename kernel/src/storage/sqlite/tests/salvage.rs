//! What is read of a damaged file is what was written, and as much of it as can be.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::super::super::{Batch, Expect};
use super::super::salvage::{Lost, Salvage};
use super::*;

const PAGE: usize = 512;

/// A file of small pages with records of all sizes, and what is in it.
async fn filled(path: &Path) -> BTreeMap<Name, Change> {
    other(path.to_owned(), "PRAGMA page_size = 512; VACUUM");
    let storage = Storage::new(open(path));
    let mut batch = Batch::new();
    for number in 0..400 {
        let namespace = ["a", "b.c", "history"][number % 3];
        let value = format!("\"{}\"", "x".repeat(number % 37));
        let key = format!("key_{number:03}");
        let put = batch.put(namespace, &key, Expect::Any, value.into_bytes());
        put.expect("valid");
    }
    let large = format!("\"{}\"", "y".repeat(2_000)).into_bytes();
    let put = batch.put("b.c", "large", Expect::Any, large);
    put.expect("valid");
    storage.apply(batch).await.expect("writes");
    storage.close().await.expect("closes");
    let (all, lost) = salvaged(path);
    assert_eq!((all.len(), lost), (401, vec![]));
    all
}

type Name = (Arc<str>, Arc<str>);

fn salvaged(path: &Path) -> (BTreeMap<Name, Change>, Vec<Lost>) {
    let connection = Connection::open(path).expect("a file");
    let mut all = BTreeMap::new();
    let read = Salvage::new(&connection, path).read(|page| {
        for change in page {
            let name = (change.namespace.clone(), change.key.clone());
            all.insert(name, change);
        }
        true
    });
    (all, read.lost)
}

/// Whatever happens to whichever page, nothing is read that was not written; and a page
/// of records takes nothing else with it.
#[tokio::test]
async fn a_lost_page_takes_its_own_records_with_it() {
    let directory = directory();
    let path = directory.path().join("db");
    let all = filled(&path).await;
    let bytes = fs::read(&path).expect("reads");
    let damaged = directory.path().join("damaged.db");
    let mut leaves = 0;
    for page in 1..bytes.len() / PAGE {
        let at = page * PAGE..(page + 1) * PAGE;
        let other = bytes.len() - (page + 1) * PAGE;
        let other = bytes[other..other + PAGE].to_vec();
        for (kind, with) in [vec![0; PAGE], vec![0xff; PAGE], other]
            .into_iter()
            .enumerate()
        {
            let mut bytes = bytes.clone();
            let old = bytes[at.clone()].to_vec();
            bytes[at.clone()].copy_from_slice(&with);
            fs::write(&damaged, &bytes).expect("writes");
            let (found, lost) = salvaged(&damaged);
            for (name, change) in &found {
                assert_eq!(all.get(name), Some(change), "page {page}");
            }
            let missing = all.len() - found.len();
            // A page in the place of another one is no error for SQLite: only the count of records tells.
            if kind < 2 {
                assert_eq!(missing == 0, lost.is_empty(), "page {page}: {lost:?}");
            }
            // A leaf of a table without row numbers, and how many records it has; that behind it, which is in the
            // page above, may be out of reach.
            let cells = usize::from(u16::from_be_bytes([old[3], old[4]]));
            if old[0] == 10 && old[5] < 2 && cells < 64 {
                leaves += 1;
                assert!(
                    missing <= cells + 1,
                    "page {page} of {cells} with {:?}: {lost:?}",
                    &with[..16]
                );
            }
        }
    }
    assert!(leaves > 100, "{leaves} leaves");
}

/// What lies between two damaged pages is read, however they lie.
#[tokio::test]
async fn two_lost_pages_take_their_own_records_with_them() {
    let directory = directory();
    let path = directory.path().join("db");
    let all = filled(&path).await;
    let bytes = fs::read(&path).expect("reads");
    let damaged = directory.path().join("damaged.db");
    let cells = |page: usize| usize::from(bytes[page * PAGE + 4]);
    let leaves: Vec<_> = (1..bytes.len() / PAGE)
        .filter(|page| bytes[page * PAGE] == 10 && bytes[page * PAGE + 3] == 0)
        .collect();
    assert!(leaves.len() > 20, "{leaves:?}");
    for (at, first) in leaves.iter().enumerate() {
        for second in &leaves[at + 1..] {
            let mut bytes = bytes.clone();
            for page in [first, second] {
                bytes[page * PAGE..(page + 1) * PAGE].fill(0);
            }
            fs::write(&damaged, &bytes).expect("writes");
            let (found, lost) = salvaged(&damaged);
            let missing = all.len() - found.len();
            let most = cells(*first) + cells(*second) + 2;
            assert!(
                missing <= most,
                "{first} and {second}: {missing} of {most}, {lost:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_lost_record_is_named_and_the_others_are_read() {
    let directory = directory();
    let path = directory.path().join("db");
    let all = filled(&path).await;
    let mut bytes = fs::read(&path).expect("reads");
    let inside = bytes.windows(9).position(|part| part == b"yyyyyyyyy");
    bytes[inside.expect("it is in the file")] ^= 1;
    fs::write(&path, bytes).expect("writes");
    let (found, lost) = salvaged(&path);
    assert_eq!(found.len(), all.len() - 1);
    let lost: Vec<_> = lost.iter().map(ToString::to_string).collect();
    assert_eq!(lost, ["record `b.c/large`: it does not match its checksum"]);
}
