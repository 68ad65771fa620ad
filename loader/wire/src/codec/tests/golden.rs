//! The form of the messages as it is committed: another form is another protocol.

use std::{env, fmt::Write, fs, path::Path};

use super::*;

/// Different values everywhere, so that two fields cannot change places unnoticed.
pub(super) fn pieces() -> Pieces {
    Pieces {
        long: [0x11, 0x0102_0304_0506_0708, 0x33, u64::MAX],
        short: [0x44, 0x5566_7788, 0x66, 0x77],
        wide: 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100,
        texts: ["a", "bc", "", "dé", "f"].map(str::to_owned),
        bytes: [b"{}".to_vec(), b"\x00\xff".to_vec()],
        events: 2,
    }
}

fn line(text: &mut String, kind: &str, frame: &[u8]) {
    write!(text, "{kind}").expect("a String takes it");
    for byte in frame {
        write!(text, " {byte:02x}").expect("a String takes it");
    }
    text.push('\n');
}

fn golden() -> String {
    let pieces = pieces();
    let (mut text, mut frame) = (String::new(), Vec::new());
    for message in pieces.to_worker() {
        frame.clear();
        message.encode(&mut frame);
        line(&mut text, message.described().1, &frame);
    }
    for message in pieces.to_kernel() {
        frame.clear();
        message.encode(&mut frame);
        line(&mut text, message.described().1, &frame);
    }
    text
}

/// Kinds are added, and never change: whoever changes a line of this file changes the major
/// version of the protocol. `OCTA_BLESS=1` writes it anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "the one switch of this test")]
fn the_form_is_the_committed_one() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/golden.txt");
    if env::var_os("OCTA_BLESS").is_some() {
        fs::write(&file, golden()).expect("the source folder is writable");
    }
    let committed = fs::read_to_string(&file).expect("golden.txt is committed");
    assert_eq!(golden(), committed, "the form of a message changed");
}
