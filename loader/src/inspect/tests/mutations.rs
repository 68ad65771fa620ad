//! Whatever the bytes are, inspection comes to an end without a panic.

use proptest::prelude::*;

use super::*;

/// Parsing is quick, and most mutations hit nothing that matters.
pub(super) const MANY: u32 = 4096;

/// Where to write which value, and how much of the file to keep.
pub(super) type Mutations = (Vec<(usize, u64, usize)>, Option<usize>);

/// Mutations of a file of `length` bytes, most of them in its headers.
pub(super) fn mutations(length: usize) -> impl Strategy<Value = Mutations> {
    let place = prop_oneof![3 => 0..length.min(512), 1 => 0..length];
    let value = prop_oneof![
        any::<u64>(),
        0..=8_u64,
        Just(u64::MAX),
        Just(u64::from(u32::MAX)),
        Just(u64::from(u16::MAX)),
        0..=length as u64,
    ];
    let width = prop_oneof![Just(1_usize), Just(2), Just(4), Just(8)];
    let writes = prop::collection::vec((place, value, width), 0..12);
    (writes, prop::option::weighted(0.2, 0..length))
}

/// Parsing must come to an end without a panic, whatever the end is.
pub(super) fn mutate_and_parse(bytes: &[u8], (writes, keep): &Mutations) {
    let mut bytes = bytes.to_vec();
    for (place, value, width) in writes {
        let end = bytes.len().min(place + width);
        let value = value.to_le_bytes();
        bytes[*place..end].copy_from_slice(&value[..end - place]);
    }
    bytes.truncate(keep.unwrap_or(bytes.len()));
    drop(parse(&bytes));
}

#[test]
fn no_mutation_brings_inspection_down() {
    for bytes in [
        fixture::plugin(),
        fixture::macho(&note()),
        fixture::pe(&note()),
    ] {
        proptest!(ProptestConfig::with_cases(MANY), |(mutations in mutations(bytes.len()))| {
            mutate_and_parse(&bytes, &mutations);
        });
    }
    let any_bytes = prop::collection::vec(any::<u8>(), 0..256);
    proptest!(ProptestConfig::with_cases(MANY), |(bytes in any_bytes)| drop(parse(&bytes)));
}

/// Headers that all lead to one large place must not make it read once for each.
#[test]
fn many_headers_over_one_place_come_to_an_end() {
    let empty_notes = vec![0; 12 * 1000];
    let mut bytes = fixture::elf(HOST_MACHINE, &empty_notes);
    let header = fixture::PROGRAM_HEADERS + fixture::PROGRAM_HEADER;
    let header = bytes[header..][..fixture::PROGRAM_HEADER].to_vec();
    let table = bytes.len() as u64;
    let count = 60_000_u16;
    bytes[32..40].copy_from_slice(&table.to_le_bytes());
    bytes[56..58].copy_from_slice(&count.to_le_bytes());
    bytes.extend(header.repeat(count.into()));
    let fault = parse(&bytes).expect_err("too many notes");
    assert!(matches!(fault, InspectFault::DamagedNote { .. }), "{fault}");
}
