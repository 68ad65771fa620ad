//! Two ends in one process, in two, and what becomes of each when the other is gone.

use std::{
    array, fs, io,
    os::fd::AsFd,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use super::*;

mod hostile;
mod parking;

/// Small enough to be full, and to be wrapped around, most of the time.
const RING: usize = 4096;
const OVER_SOCKET: usize = 0;
const MODES: [usize; 2] = [OVER_SOCKET, RING];
const LONG: Duration = Duration::from_secs(3600);

/// Both ends, after the handshake.
fn ends(ring_bytes: usize) -> (Link, Link) {
    let (kernel, end) = Link::pair(ring_bytes).unwrap();
    let worker = Link::inherited(end.socket, end.memory).unwrap();
    worker.use_rings();
    kernel.use_rings();
    (kernel, worker)
}

/// A frame of so many bytes beside its length, different for each seed.
fn frame(bytes: usize, seed: usize) -> Vec<u8> {
    let length = u32::try_from(bytes).unwrap();
    let period: Vec<u8> = (0..251).map(|at| (at * 31 + seed) as u8).collect();
    let mut frame = [&length.to_le_bytes()[..], &period.repeat(bytes / 251 + 1)].concat();
    frame.truncate(4 + bytes);
    frame
}

/// The next frame; parks until there is one.
fn received(link: &Link) -> Result<Vec<u8>, LinkError> {
    loop {
        if let Some(frame) = link.receive().next()? {
            return Ok(frame.to_vec());
        }
        link.park(None)?;
    }
}

/// The next frame; spins until there is one.
fn spun_for(link: &Link) -> Result<Vec<u8>, LinkError> {
    let mut receiving = link.receive();
    loop {
        if let Some(frame) = receiving.next()? {
            return Ok(frame.to_vec());
        }
        receiving.spin(LONG);
    }
}

/// Sends everything back until the other end is closed.
fn echo(link: &Link, next: impl Fn(&Link) -> Result<Vec<u8>, LinkError>) {
    while let Some(body) = unless_closed(next(link)) {
        link.send(&with_length(&body)).unwrap();
    }
}

fn unless_closed<T>(received: Result<T, LinkError>) -> Option<T> {
    received
        .map_err(|why| assert_eq!(why, LinkError::Closed))
        .ok()
}

fn with_length(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_le_bytes(), body].concat()
}

fn ping_pong(link: &Link, sizes: impl Iterator<Item = usize>) {
    for bytes in sizes {
        let frame = frame(bytes, bytes);
        link.send(&frame).unwrap();
        assert_eq!(received(link).unwrap(), frame[4..], "{bytes} bytes");
    }
}

#[test]
fn frames_of_each_size_go_there_and_back() {
    for mode in MODES {
        let (kernel, worker) = ends(mode);
        thread::scope(|scope| {
            scope.spawn(|| echo(&worker, received));
            ping_pong(&kernel, (1..600).chain((600..3 * RING).step_by(13)));
            ping_pong(
                &kernel,
                [RING - 4, RING - 3, RING, 1 << 20, 5 << 20].into_iter(),
            );
            kernel.close();
        });
    }
}

#[test]
fn frames_larger_than_the_ring_pass_while_both_ends_only_spin() {
    let (kernel, worker) = ends(RING);
    thread::scope(|scope| {
        scope.spawn(|| echo(&worker, spun_for));
        for bytes in (1..3 * RING).step_by(97) {
            kernel.send(&frame(bytes, bytes)).unwrap();
            assert_eq!(spun_for(&kernel).unwrap(), frame(bytes, bytes)[4..]);
        }
        kernel.close();
        // Who only spins does not look at the socket: the end is learned by parking.
        while worker.park(None) != Ok(Parked::Closed) {}
    });
}

#[test]
fn much_is_sent_before_anything_is_received() {
    for mode in MODES {
        let (kernel, worker) = ends(mode);
        let sizes = || (1..400).map(|step| step * step * 7 % (3 * RING) + 1);
        thread::scope(|scope| {
            scope.spawn(|| echo(&worker, received));
            for bytes in sizes() {
                kernel.send(&frame(bytes, bytes)).unwrap();
            }
            for bytes in sizes() {
                assert_eq!(received(&kernel).unwrap(), frame(bytes, bytes)[4..]);
            }
            kernel.close();
        });
    }
}

/// Started by the test below in a process of its own.
#[test]
fn echo_in_another_process() {
    let arguments: Vec<String> = std::env::args().collect();
    let Some(place) = arguments
        .iter()
        .position(|found| found == "echo-with-memory")
    else {
        return;
    };
    let socket = io::stdin().as_fd().try_clone_to_owned().unwrap();
    let memory = match arguments[place + 1].as_str() {
        "none" => None,
        path => Some(
            fs::File::options()
                .read(true)
                .write(true)
                .open(path)
                .unwrap()
                .into(),
        ),
    };
    let worker = Link::inherited(socket, memory).unwrap();
    let hello = received(&worker).unwrap();
    worker.send(&with_length(&hello)).unwrap();
    worker.use_rings();
    echo(&worker, received);
}

#[test]
fn frames_go_to_another_process_and_back() {
    for mode in MODES {
        let (kernel, end) = Link::pair(mode).unwrap();
        let memory = end.memory.as_ref().map(|memory| {
            use std::os::fd::AsRawFd;
            format!("/proc/{}/fd/{}", std::process::id(), memory.as_raw_fd())
        });
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "link::tests::echo_in_another_process"])
            .args(["echo-with-memory", memory.as_deref().unwrap_or("none")])
            .stdin(Stdio::from(end.socket))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        ping_pong(&kernel, [9].into_iter());
        kernel.use_rings();
        ping_pong(&kernel, (1..3 * RING).step_by(17));
        kernel.close();
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn what_each_thread_sends_stays_in_order() {
    const SENDERS: usize = 4;
    const EACH: usize = 5_000;
    for mode in MODES {
        let (kernel, worker) = ends(mode);
        thread::scope(|scope| {
            for sender in 0..SENDERS {
                let kernel = &kernel;
                scope.spawn(move || {
                    for number in 0..EACH {
                        let body = [sender, number]
                            .map(|part| part as u64)
                            .map(u64::to_le_bytes);
                        let filling = vec![0; number % 61];
                        kernel
                            .send(&with_length(&[&body.concat(), &filling[..]].concat()))
                            .unwrap();
                    }
                });
            }
            scope.spawn(|| while kernel.park(None) != Ok(Parked::Closed) {});
            let mut next = [0; SENDERS];
            for _ in 0..SENDERS * EACH {
                let body = received(&worker).unwrap();
                let [sender, number] = array::from_fn(|part| {
                    usize::from_le_bytes(body[8 * part..][..8].try_into().unwrap())
                });
                assert_eq!(next[sender], number, "sender {sender}");
                assert_eq!(body.len(), 16 + number % 61);
                next[sender] += 1;
            }
            worker.close();
        });
    }
}

#[test]
fn too_much_for_an_end_that_takes_nothing_is_refused_and_nothing_else() {
    const BYTES: usize = 16 << 20;
    for mode in MODES {
        let (kernel, worker) = ends(mode);
        let big = frame(BYTES, 1);
        let sent = QUEUE_BYTES_MAX / BYTES;
        for _ in 0..sent {
            kernel.send(&big).unwrap();
        }
        let refused = kernel.send(&big);
        assert!(
            matches!(refused, Err(LinkError::Overrun { .. })),
            "{refused:?}"
        );
        kernel.send(&frame(1, 2)).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| while kernel.park(None) != Ok(Parked::Closed) {});
            for _ in 0..sent {
                assert!(received(&worker).unwrap() == big[4..]);
            }
            assert_eq!(received(&worker).unwrap(), frame(1, 2)[4..]);
            worker.close();
        });
    }
}

#[test]
fn a_frame_that_no_receiver_takes_is_not_sent() {
    let (kernel, worker) = ends(RING);
    let bytes = FRAME_BYTES_MAX + 1;
    assert_eq!(
        kernel.send(&vec![0; 4 + bytes]),
        Err(LinkError::TooLong { bytes })
    );
    kernel.send(&frame(1, 1)).unwrap();
    assert_eq!(received(&worker).unwrap(), frame(1, 1)[4..]);
}

#[test]
fn the_largest_frame_passes_and_its_memory_is_let_go() {
    let (kernel, worker) = ends(RING);
    let largest = frame(FRAME_BYTES_MAX, 3);
    thread::scope(|scope| {
        scope.spawn(|| {
            kernel.send(&largest).unwrap();
            while kernel.park(None) != Ok(Parked::Closed) {}
        });
        assert!(received(&worker).unwrap() == largest[4..]);
        assert_eq!(worker.inbox.lock().kept_bytes(), 0);
        worker.close();
    });
}

#[test]
fn a_closed_end_gives_all_that_it_sent_and_then_that_it_is_closed() {
    for mode in MODES {
        let (kernel, worker) = ends(mode);
        for seed in 0..20 {
            worker.send(&frame(50, seed)).unwrap();
        }
        drop(worker);
        assert_eq!(kernel.park(None), Ok(Parked::Woken));
        for seed in 0..20 {
            assert_eq!(received(&kernel).unwrap(), frame(50, seed)[4..]);
        }
        assert_eq!(received(&kernel), Err(LinkError::Closed));
        assert_eq!(kernel.receive().next(), Err(LinkError::Closed));
        assert_eq!(kernel.park(None), Ok(Parked::Closed));
        assert_eq!(kernel.send(&frame(1, 1)), Err(LinkError::Closed));
    }
}

#[test]
fn a_sender_learns_that_the_other_end_is_gone() {
    for mode in MODES {
        let (kernel, worker) = ends(mode);
        worker.send(&frame(5, 5)).unwrap();
        drop(worker);
        assert_eq!(kernel.send(&frame(1, 1)), Err(LinkError::Closed));
        assert_eq!(received(&kernel).unwrap(), frame(5, 5)[4..]);
        assert_eq!(received(&kernel), Err(LinkError::Closed));
    }
}

#[test]
fn the_end_that_is_first_to_use_the_rings_is_heard() {
    let (kernel, end) = Link::pair(RING).unwrap();
    let worker = Link::inherited(end.socket, end.memory).unwrap();
    worker.send(&frame(7, 1)).unwrap();
    worker.use_rings();
    worker.send(&frame(7, 2)).unwrap();
    worker.wake().unwrap();
    assert_eq!(received(&kernel).unwrap(), frame(7, 1)[4..]);
    // Here the wake-up is taken for the beginning of a frame.
    assert_eq!(kernel.receive().next(), Ok(None));
    kernel.use_rings();
    assert_eq!(kernel.park(None), Ok(Parked::Woken));
    assert_eq!(kernel.receive().next(), Ok(Some(&frame(7, 2)[4..])));
}

#[test]
fn ends_that_share_a_processor_let_each_other_run() {
    let mut only = rustix::thread::CpuSet::new();
    only.set(rustix::thread::sched_getcpu());
    thread::scope(|scope| {
        scope.spawn(|| {
            rustix::thread::sched_setaffinity(None, &only).unwrap();
            let (kernel, worker) = ends(RING);
            assert!(kernel.alone && worker.alone);
            thread::scope(|scope| {
                // It inherits the processor.
                scope.spawn(|| {
                    for _ in 0..1000 {
                        worker
                            .send(&with_length(&spun_for(&worker).unwrap()))
                            .unwrap();
                    }
                });
                for seed in 0..1000 {
                    kernel.send(&frame(20, seed)).unwrap();
                    assert_eq!(spun_for(&kernel).unwrap(), frame(20, seed)[4..]);
                }
            });
        });
    });
}

#[test]
fn without_rings_all_goes_through_the_socket() {
    let (kernel, worker) = ends(OVER_SOCKET);
    assert!(kernel.rings().is_none() && worker.rings().is_none());
    for ring_bytes in [1, 4095, 5000, 1 << 31, usize::MAX] {
        let refused = Link::pair(ring_bytes).map(drop).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{ring_bytes}");
    }
}
