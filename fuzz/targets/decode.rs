//! Any bytes are a message or an error, and a message is those bytes again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use octa_wire::{Length, ToKernel, ToWorker};

macro_rules! check {
    ($messages:ident: $frame:expr) => {
        if let Ok(message) = $messages::decode($frame) {
            let mut again = Vec::new();
            message.encode(&mut again);
            let (length, frame) = again.split_first_chunk().expect("a frame has a length");
            assert_eq!(Length::read(length), Ok($frame.len()), "{message:?}");
            assert_eq!(frame, $frame, "{message:?}");
        }
    };
}

fuzz_target!(|frame: &[u8]| {
    check!(ToWorker: frame);
    check!(ToKernel: frame);
});
