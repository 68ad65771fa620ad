//! The rings: two ends that send, receive and sleep, as the two processes do it.

use std::sync::Arc;

use loom::thread;

use crate::link::{Link, LinkError, WORDS};

/// One word, with the length that comes before it.
fn frame(number: u8) -> [u8; 8] {
    [4, 0, 0, 0, number, 1, 2, 3]
}

/// Receives so many frames in their order, and parks between them.
fn receive(link: &Link, frames: u8) {
    let mut next = 0;
    while next < frames {
        next = take(link, next);
        if next < frames {
            link.park().expect("the other end behaves");
        }
    }
}

/// Takes what has arrived from the frame of this number on; the number of the next.
fn take(link: &Link, mut next: u8) -> u8 {
    let mut receiving = link.receive();
    while let Some(body) = receiving.next().expect("the other end behaves") {
        assert_eq!(body, &frame(next)[4..]);
        next += 1;
    }
    next
}

fn send(link: &Link, number: u8) -> Result<(), LinkError> {
    link.send(&frame(number))
}

pub(super) fn sleeps() {
    let (here, there) = Link::pair();
    let receiver = thread::spawn(move || receive(&there, 2));
    send(&here, 0).expect("there is room");
    send(&here, 1).expect("there is room");
    receiver.join().expect("it ends");
}

/// One end has sent one frame more than a ring holds.
fn filled() -> (Link, Link) {
    let (here, there) = Link::pair();
    for number in 0..=WORDS as u8 {
        send(&here, number).expect("what there is no room for is queued");
    }
    (here, there)
}

/// Parks until what is queued is on its way.
fn flush(link: &Link) {
    while link.queued() > 0 {
        link.park().expect("the other end behaves");
    }
}

/// What there is no room for goes on its way when there is.
pub(super) fn fills() {
    let (here, there) = filled();
    let receiver = thread::spawn(move || receive(&there, WORDS as u8 + 1));
    flush(&here);
    receiver.join().expect("it ends");
}

/// It does although the receiver leaves the rest where it is.
pub(super) fn has_room_for_one() {
    let (here, there) = filled();
    let receiver = thread::spawn(move || {
        let mut receiving = there.receive();
        assert_eq!(receiving.next(), Ok(Some(&frame(0)[4..])));
    });
    flush(&here);
    receiver.join().expect("it ends");
}

/// It does although it is queued while the receiver makes room.
pub(super) fn runs_full() {
    let (here, there) = Link::pair();
    for number in 0..WORDS as u8 {
        send(&here, number).expect("there is room");
    }
    let receiver = thread::spawn(move || {
        let mut receiving = there.receive();
        assert_eq!(receiving.next(), Ok(Some(&frame(0)[4..])));
    });
    send(&here, WORDS as u8).expect("what there is no room for is queued");
    flush(&here);
    receiver.join().expect("it ends");
}

/// One holds the receiving end for a moment and takes nothing; another parks and takes what comes.
pub(super) fn hands_over() {
    let (here, there) = Link::pair();
    let there = Arc::new(there);
    let receiver = {
        let there = there.clone();
        thread::spawn(move || receive(&there, 1))
    };
    let holder = thread::spawn(move || drop(there.try_receive()));
    send(&here, 0).expect("there is room");
    holder.join().expect("it ends");
    receiver.join().expect("it ends");
}
