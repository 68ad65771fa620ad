//! The rings: two ends that send, receive and sleep, as the two processes do it.

use std::sync::Arc;

use loom::thread;

use crate::link::{Link, LinkError};

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

/// More than a ring holds: the rest goes on its way when there is room.
pub(super) fn fills() {
    let (here, there) = Link::pair();
    let receiver = thread::spawn(move || receive(&there, 6));
    for number in 0..6 {
        send(&here, number).expect("what there is no room for is queued");
    }
    while here.queued() > 0 {
        here.park().expect("the other end behaves");
    }
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
