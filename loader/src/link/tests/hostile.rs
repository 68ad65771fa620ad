//! An end that does what it likes with the socket and the memory.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    sync::atomic::AtomicU64,
};

use proptest::prelude::*;
use rustix::fs::{SealFlags, fcntl_add_seals, ftruncate};

use super::*;

/// An end, and what the other process has of the other.
struct Torn {
    kernel: Link,
    socket: UnixStream,
    memory: Memory,
}

impl Torn {
    fn new(ring_bytes: usize) -> Self {
        let (kernel, end) = Link::pair(ring_bytes).unwrap();
        kernel.use_rings();
        let memory = Memory::map(end.memory.unwrap().as_fd(), Side::Worker).unwrap();
        let socket = UnixStream::from(end.socket);
        socket.set_nonblocking(true).unwrap();
        Self {
            kernel,
            socket,
            memory,
        }
    }

    /// Puts words into the ring as a sender would.
    fn put(&self, bytes: &[u8]) {
        let ring = self.memory.outgoing();
        ring.write(0, bytes);
        ring.tail
            .store(ring::padded(bytes.len()) as u64, Ordering::Release);
    }
}

#[test]
fn a_length_that_no_frame_has_ends_the_link() {
    let too_long = u32::try_from(FRAME_BYTES_MAX + 1).unwrap();
    for found in [0, too_long, u32::MAX] {
        let malformed = LinkError::Malformed {
            what: Violation::Length(found),
        };
        let torn = Torn::new(RING);
        torn.put(&found.to_le_bytes());
        assert_eq!(torn.kernel.receive().next(), Err(malformed));
        assert_eq!(torn.kernel.receive().next(), Err(malformed));
        assert_eq!(torn.kernel.send(&frame(1, 1)), Err(malformed));
        assert_eq!(torn.kernel.park(None), Err(malformed));
        // It is closed for the other end, too, and for those who were parked.
        assert_eq!((&torn.socket).read_to_end(&mut Vec::new()).ok(), Some(0));

        let (kernel, end) = Link::pair(OVER_SOCKET).unwrap();
        UnixStream::from(end.socket)
            .write_all(&found.to_le_bytes())
            .unwrap();
        assert_eq!(received(&kernel), Err(malformed));
    }
}

#[test]
fn counters_that_cannot_be_end_the_link() {
    for found in [RING as u64 + 8, 1, 4095, u64::MAX, u64::MAX - 7, 1 << 63] {
        let malformed = |what| Err(LinkError::Malformed { what });

        let torn = Torn::new(RING);
        torn.memory.outgoing().tail.store(found, Ordering::Release);
        let ending = malformed(Violation::Tail(found));
        assert_eq!(torn.kernel.receive().next().map(drop), ending);
        assert_eq!(torn.kernel.send(&frame(1, 1)), ending);

        let torn = Torn::new(RING);
        // It is looked at when room is short.
        let head = 0_u64.wrapping_sub(found).wrapping_add(RING as u64);
        torn.memory.incoming().head.store(head, Ordering::Release);
        torn.kernel.send(&frame(RING - 4, 1)).unwrap();
        let ending = malformed(Violation::Head(found));
        assert_eq!(torn.kernel.send(&frame(1, 1)), ending);
        assert_eq!(torn.kernel.receive().next().map(drop), ending);
    }
}

#[test]
fn a_frame_that_was_received_does_not_change() {
    let torn = Torn::new(RING);
    torn.put(&frame(100, 1));
    let mut receiving = torn.kernel.receive();
    let body = receiving.next().unwrap().unwrap();
    torn.put(&frame(90, 2));
    assert_eq!(body, &frame(100, 1)[4..]);
}

#[test]
fn an_end_that_uses_the_rings_before_it_read_everything_is_found_out() {
    let (kernel, _end) = Link::pair(RING).unwrap();
    while kernel.outbox.lock().queued() == 0 {
        kernel.send(&frame(RING, 1)).unwrap();
    }
    kernel.use_rings();
    let malformed = kernel.receive().next().map(drop).unwrap_err();
    assert!(
        matches!(
            malformed,
            LinkError::Malformed {
                what: Violation::Unread(1..)
            }
        ),
        "{malformed:?}"
    );
}

#[test]
fn the_memory_keeps_its_size() {
    let (_kernel, end) = Link::pair(RING).unwrap();
    let memory = end.memory.unwrap();
    for bytes in [0, 4096, 1 << 20] {
        assert_eq!(ftruncate(&memory, bytes), Err(Errno::PERM));
    }
    assert_eq!(fcntl_add_seals(&memory, SealFlags::WRITE), Err(Errno::PERM));
}

#[test]
fn memory_that_is_not_two_rings_is_not_inherited() {
    let refused = |memory: OwnedFd| {
        let (socket, _other) = UnixStream::pair().unwrap();
        Link::inherited(socket.into(), Some(memory))
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    let of_size = |bytes, seals| {
        let flags = rustix::fs::MemfdFlags::ALLOW_SEALING;
        let memory = rustix::fs::memfd_create("of-size", flags).unwrap();
        ftruncate(&memory, bytes).unwrap();
        fcntl_add_seals(&memory, seals).unwrap();
        memory
    };
    let sealed = SealFlags::SHRINK | SealFlags::GROW;
    assert!(refused(of_size(3 * 4096, SealFlags::GROW)).contains("made shorter"));
    for bytes in [0, 8, 4096, 2 * 4096, 4 * 4096, 3 * 4096 + 1, 3 * 4096 + 2] {
        assert!(
            refused(of_size(bytes, sealed)).contains("two rings"),
            "{bytes}"
        );
    }
    assert!(!refused(fs::File::open("/proc/self/exe").unwrap().into()).is_empty());
}

#[test]
fn wake_ups_in_any_number_are_only_wake_ups() {
    let torn = Torn::new(RING);
    while (&torn.socket).write(&[7; 5000]).is_ok() {}
    for _ in 0..50 {
        assert_eq!(torn.kernel.park(Some(LONG)), Ok(Parked::Woken));
        assert_eq!(torn.kernel.receive().next(), Ok(None));
        torn.kernel.send(&frame(9, 9)).unwrap();
    }
}

/// What the other end does, or this one.
#[derive(Debug, Clone)]
enum Act {
    Header { word: usize, value: u64 },
    Data { word: usize, value: u64 },
    Wake(u8),
    Put(usize),
    Send(usize),
    Receive,
    Spin,
    Park,
}

fn act() -> impl Strategy<Value = Act> {
    let near = prop_oneof![
        (0..4 * RING as u64).prop_map(|words| words * 8),
        0..4 * RING as u64,
        (1..RING as u64).prop_map(|below| 0_u64.wrapping_sub(below)),
        any::<u64>(),
    ];
    prop_oneof![
        (0..8_usize, near.clone()).prop_map(|(word, value)| Act::Header { word, value }),
        (0..RING / 4, near).prop_map(|(word, value)| Act::Data { word, value }),
        any::<u8>().prop_map(Act::Wake),
        (1..2 * RING).prop_map(Act::Put),
        (1..2 * RING).prop_map(Act::Send),
        Just(Act::Receive),
        Just(Act::Spin),
        Just(Act::Park),
    ]
}

impl Torn {
    fn act(&self, act: &Act) {
        let rings = [self.memory.outgoing(), self.memory.incoming()];
        let kernel = &self.kernel;
        match *act {
            Act::Header { word, value } => {
                let ring = &rings[word / 4];
                let words = [ring.tail, ring.head, ring.asleep, ring.wants_room];
                words[word % 4].store(value, Ordering::Relaxed);
            }
            Act::Data { word, value } => {
                let data = rings[word % 2].data;
                data[word / 2 % data.len()].store(value, Ordering::Relaxed);
            }
            Act::Wake(byte) => _ = (&self.socket).write(&[byte]),
            Act::Put(bytes) => self.put(&frame(bytes.min(RING - 4), bytes)),
            Act::Send(bytes) => _ = kernel.send(&frame(bytes, bytes)),
            Act::Receive => while let Ok(Some(_)) = kernel.receive().next() {},
            Act::Spin => _ = kernel.receive().spin(Duration::ZERO),
            Act::Park => _ = kernel.park(Some(Duration::ZERO)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_that_is_done_to_the_memory_does_harm(
        acts in prop::collection::vec(act(), 1..60),
    ) {
        let torn = Torn::new(RING);
        for act in &acts {
            torn.act(act);
        }
    }
}

#[test]
fn what_changes_all_the_time_does_no_harm() {
    const LINKS: usize = 200;
    for seed in 1..=LINKS as u64 {
        let torn = Torn::new(RING);
        thread::scope(|scope| {
            let scribbler = scope.spawn(|| scribble(&torn, seed));
            for round in 0..200 {
                _ = torn.kernel.send(&frame(round * 37 % 5000 + 1, round));
                let mut receiving = torn.kernel.receive();
                while let Ok(Some(body)) = receiving.next() {
                    assert!(body.len() <= FRAME_BYTES_MAX);
                }
            }
            torn.kernel.close();
            scribbler.join().unwrap();
        });
    }
}

/// Writes what might be taken for sound values over everything, until the link is closed.
fn scribble(torn: &Torn, seed: u64) {
    let rings = [torn.memory.outgoing(), torn.memory.incoming()];
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let put = |word: &AtomicU64, value| word.store(value, Ordering::Relaxed);
    while !torn.kernel.ended() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let ring = &rings[(state >> 20) as usize % 2];
        let value = state >> 40 & 0xFF8;
        match state >> 24 & 15 {
            0 => put(
                ring.tail,
                ring.head.load(Ordering::Relaxed).wrapping_add(value),
            ),
            1 => put(
                ring.head,
                ring.tail.load(Ordering::Relaxed).wrapping_sub(value),
            ),
            2 => put(ring.asleep, value),
            3 => put(ring.wants_room, value),
            _ => put(&ring.data[(state >> 32) as usize % ring.data.len()], value),
        }
    }
}
