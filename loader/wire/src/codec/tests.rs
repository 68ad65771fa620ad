//! Every kind there and back, cut short, spoiled, as committed, and as documented.

mod documented;
mod golden;

use proptest::{collection::vec, prelude::*, test_runner::TestCaseError};

use super::*;
use crate::{Answer, Envelope, Event};

/// Number, name, and names and forms of the fields of a kind.
pub(super) type Described = (u8, &'static str, Vec<(&'static str, &'static str)>);

/// What messages are made of, as they borrow.
#[derive(Debug, Clone)]
struct Pieces {
    long: [u64; 4],
    short: [u32; 4],
    wide: u128,
    texts: [String; 5],
    bytes: [Vec<u8>; 2],
    /// How many events a delivery has.
    events: usize,
}

fn any_pieces() -> impl Strategy<Value = Pieces> {
    let texts = prop::array::uniform5(any::<String>());
    let bytes = prop::array::uniform2(vec(any::<u8>(), 0..300));
    (
        any::<([u64; 4], [u32; 4], u128)>(),
        texts,
        bytes,
        0..5_usize,
    )
        .prop_map(|((long, short, wide), texts, bytes, events)| Pieces {
            long,
            short,
            wide,
            texts,
            bytes,
            events,
        })
}

impl Pieces {
    fn envelope(&self) -> Envelope<'_> {
        Envelope {
            remaining_nanos: self.long[3],
            correlation: self.wide,
            attempt: self.short[3],
            caller: &self.texts[0],
            chain: &self.texts[1],
            trace: &self.texts[2],
            routing_key: &self.texts[3],
            idempotency_key: &self.texts[4],
            headers: &self.bytes[1],
        }
    }

    fn events(&self) -> Vec<Event<'_>> {
        let event = Event {
            id: self.long[1],
            sequence: self.long[2],
            time: self.long[3],
            correlation: self.wide,
            attempt: self.short[2],
            content_type: self.short[3],
            topic: &self.texts[0],
            source: &self.texts[1],
            payload: &self.bytes[0],
        };
        vec![event; self.events]
    }

    fn answer(&self) -> Answer<'_> {
        Answer {
            code: self.short[3],
            number: self.long[3],
            payload: &self.bytes[0],
            headers: &self.bytes[1],
        }
    }

    /// One of each kind.
    fn to_worker(&self) -> Vec<ToWorker<'_>> {
        let [id, number, ..] = self.long;
        let [instance, generation, handler, _] = self.short;
        let [first, second, ..] = &self.texts;
        let [payload, other] = &self.bytes;
        vec![
            ToWorker::Hello(payload),
            ToWorker::Open {
                id,
                generation,
                path: first,
                hash: second,
                manifest: payload,
            },
            ToWorker::Close { id, generation },
            ToWorker::Create {
                id,
                instance,
                generation,
                log_level: handler,
                config: payload,
            },
            ToWorker::Destroy { id, instance },
            ToWorker::Call {
                id,
                instance,
                handler,
                envelope: self.envelope(),
                payload,
            },
            ToWorker::Deliver {
                id,
                instance,
                handler,
                events: self.events(),
            },
            ToWorker::Cut { id },
            ToWorker::Control {
                id,
                instance,
                what: handler,
                number,
                payload: other,
            },
            ToWorker::Cancel { id },
            ToWorker::Reply {
                instance,
                operation: number,
                answer: self.answer(),
            },
            ToWorker::StartTask { instance, task: id },
            ToWorker::CancelTask { instance, task: id },
            ToWorker::Ping { number },
            ToWorker::Goodbye,
        ]
    }

    /// One of each kind.
    fn to_kernel(&self) -> Vec<ToKernel<'_>> {
        let [id, number, argument, _] = self.long;
        let [instance, operation, flags, _] = self.short;
        let [first, second, third, ..] = &self.texts;
        let [payload, _] = &self.bytes;
        let envelope = self.envelope();
        vec![
            ToKernel::Welcome(payload),
            ToKernel::Answer {
                id,
                answer: self.answer(),
            },
            ToKernel::Handled { id },
            ToKernel::Submit {
                instance,
                number,
                operation,
                flags,
                argument,
                target: first,
                key: second,
                envelope,
                payload,
            },
            ToKernel::CancelOperation { instance, number },
            ToKernel::Spawned { instance, task: id },
            ToKernel::TaskEnded {
                instance,
                task: id,
                answer: self.answer(),
            },
            ToKernel::Log {
                instance,
                level: operation,
                line: flags,
                target: first,
                message: second,
                file: third,
            },
            ToKernel::Pong { number },
        ]
    }
}

/// The frame without its length, which must be right.
fn without_length(frame: &[u8]) -> &[u8] {
    let (length, rest) = frame.split_first_chunk().expect("a frame has a length");
    assert_eq!(
        Length::read(length),
        Ok(rest.len()),
        "the length of a frame"
    );
    rest
}

macro_rules! frame_of {
    ($message:expr) => {{
        let mut frame = Vec::new();
        $message.encode(&mut frame);
        without_length(&frame).to_vec()
    }};
}

/// That each message comes back; that none of its beginnings is one, and nothing behind it.
macro_rules! check_frames {
    ($messages:ident: $all:expr) => {
        for message in $all {
            let mut frame = frame_of!(message);
            prop_assert_eq!($messages::decode(&frame), Ok(message.clone()));
            for end in 0..frame.len() {
                let found = $messages::decode(&frame[..end]).map_err(|error| error.to_string());
                prop_assert!(found.is_err(), "the first {} bytes of {:?}", end, message);
            }
            frame.push(0);
            let (_, kind, _) = message.described();
            let found = $messages::decode(&frame);
            prop_assert_eq!(found, Err(DecodeError::Trailing { kind, found: 1 }));
        }
    };
}

/// What is decoded at all is encoded to the same bytes.
macro_rules! check_bytes {
    ($messages:ident: $bytes:expr) => {
        if let Ok(message) = $messages::decode($bytes) {
            let frame = frame_of!(message);
            prop_assert_eq!($bytes, &*frame, "{:?}", message);
        }
    };
}

fn check_any_bytes(bytes: &[u8]) -> Result<(), TestCaseError> {
    check_bytes!(ToWorker: bytes);
    check_bytes!(ToKernel: bytes);
    Ok(())
}

proptest! {
    #[test]
    fn every_message_comes_back(pieces in any_pieces()) {
        check_frames!(ToWorker: pieces.to_worker());
        check_frames!(ToKernel: pieces.to_kernel());
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(
        kind in prop_oneof![1..=0x0f_u8, 0x81..=0x89_u8, any::<u8>()],
        mut fields in vec(prop_oneof![Just(0), any::<u8>()], 0..200),
    ) {
        fields.insert(0, kind);
        check_any_bytes(&fields)?;
    }

    #[test]
    fn a_spoiled_message_is_another_or_an_error(
        pieces in any_pieces(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let frames = pieces.to_worker().iter().map(|it| frame_of!(it)).collect::<Vec<_>>();
        let others = pieces.to_kernel().iter().map(|it| frame_of!(it)).collect::<Vec<_>>();
        for mut frame in frames.into_iter().chain(others) {
            let at = at.index(frame.len());
            frame[at] = byte;
            check_any_bytes(&frame)?;
        }
    }
}

#[test]
fn frames_follow_each_other_in_one_buffer() {
    let mut buffer = b"before".to_vec();
    ToWorker::Ping { number: 7 }.encode(&mut buffer);
    ToWorker::Goodbye.encode(&mut buffer);
    let expected = b"before\x09\0\0\0\x0e\x07\0\0\0\0\0\0\0\x01\0\0\0\x0f";
    assert_eq!(buffer, expected);
}

#[test]
fn a_length_is_bounded() {
    let read = |length: usize| Length::read(&field::length(length));
    assert_eq!(read(1), Ok(1));
    assert_eq!(read(FRAME_BYTES_MAX), Ok(FRAME_BYTES_MAX));
    assert_eq!(read(0), Err(DecodeError::Empty));
    let found = 0x0401_0001;
    assert_eq!(
        read(FRAME_BYTES_MAX + 1),
        Err(DecodeError::TooLong { found })
    );
    let found = u32::MAX;
    assert_eq!(read(usize::MAX), Err(DecodeError::TooLong { found }));
}

#[test]
fn no_kind_goes_both_ways() {
    for kind in 0..=u8::MAX {
        let known = [
            !matches!(
                ToWorker::decode(&[kind]),
                Err(DecodeError::UnknownKind { .. })
            ),
            !matches!(
                ToKernel::decode(&[kind]),
                Err(DecodeError::UnknownKind { .. })
            ),
        ];
        let expected = [(1..=0x0f).contains(&kind), (0x81..=0x89).contains(&kind)];
        assert_eq!(known, expected, "the kind {kind:#04x}");
    }
}

fn check_error(frame: &[u8], expected: &str) {
    let error = ToWorker::decode(frame).expect_err("the frame is spoiled");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn errors_say_where_what_and_what_instead() {
    check_error(b"", "a frame of 0 bytes, expected at least its kind");
    check_error(b"\x81", "a frame of kind 0x81, expected one of `ToWorker`");
    check_error(
        b"\x08\0\0",
        "`Cut` ends in `id`: expected 8 more bytes, found 2",
    );
    check_error(
        b"\x01\x05\0\0\0{}",
        "`Hello` ends in `document`: expected 5 more bytes, found 2",
    );
    check_error(
        b"\x0f\0\0",
        "`Goodbye` ends 2 bytes after its last field, expected none",
    );
    let mut open = [0; 1 + 8 + 4 + 4 + 3];
    open[0] = 0x02;
    open[13] = 3;
    open[17..].copy_from_slice(b"ab\xff");
    check_error(
        &open,
        "`path` of `Open` is no text: expected UTF-8, found another byte at 2",
    );
}

#[test]
fn a_field_of_a_group_is_named_in_the_error() {
    let mut call = [0; 1 + 8 + 4 + 4 + 8 + 16 + 4 + 4];
    call[0] = 0x06;
    call[45] = 1;
    check_error(
        &call,
        "`Call` ends in `caller`: expected 1 more bytes, found 0",
    );
}

/// The length of a list is believed only as far as bytes are there for it.
#[test]
fn a_list_that_cannot_be_is_refused_before_memory_is_taken() {
    let mut deliver = vec![0; 1 + 8 + 4 + 4];
    deliver[0] = 0x07;
    deliver.extend_from_slice(&u32::MAX.to_le_bytes());
    deliver.resize(deliver.len() + 2 * 60 + 59, 0);
    check_error(
        &deliver,
        "`Deliver` lists 4294967295 in `events`, expected at most 2 in the bytes left",
    );
}
