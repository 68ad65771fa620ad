//! Who sleeps is woken: by the other end, by those who let go of the receiving end, by the end of
//! time and of the link. A wake-up that is lost stops these tests for good.

use std::hint;

use super::{ring::Ring, *};

const ROUNDS: usize = 100_000;

/// Lets two threads begin each round at about the same time, now the one first and now the other.
struct Rounds {
    arrived: AtomicUsize,
}

impl Rounds {
    fn meet(&self, round: usize, delay: usize) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let mut looks = 0_u32;
        while self.arrived.load(Ordering::Acquire) < 2 * round {
            looks += 1;
            if looks.is_multiple_of(1000) {
                thread::yield_now();
            }
        }
        (0..delay).for_each(|step| _ = hint::black_box(step));
    }
}

/// Runs both sides of a ring against each other: what each saw of the other, which must not be
/// nothing on both sides.
fn check_rounds(sender: fn(&Ring<'_>, u64) -> bool, receiver: fn(&Ring<'_>, u64) -> bool) {
    let (kernel, worker) = ends(RING);
    let rounds = Rounds {
        arrived: AtomicUsize::new(0),
    };
    let seen = [const { AtomicBool::new(false) }; 2];
    let run = |ring: Ring<'_>, act: fn(&Ring<'_>, u64) -> bool, side: usize| {
        for round in 1..=ROUNDS {
            ring.asleep.store(0, Ordering::Relaxed);
            ring.wants_room.store(0, Ordering::Relaxed);
            rounds.meet(2 * round - 1, round / 64 % 64 * ((round + side) % 2));
            seen[side].store(act(&ring, round as u64), Ordering::Relaxed);
            rounds.meet(2 * round, 0);
            assert!(
                seen.iter().any(|seen| seen.load(Ordering::Relaxed)),
                "round {round}"
            );
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| run(worker.memory.as_ref().unwrap().incoming(), receiver, 1));
        run(kernel.memory.as_ref().unwrap().outgoing(), sender, 0);
    });
}

#[test]
fn a_sender_sees_the_sleeper_or_the_sleeper_what_was_sent() {
    check_rounds(
        |ring, round| {
            ring.tail.store(round, Ordering::Release);
            ring.was_asleep()
        },
        |ring, round| ring.fall_asleep() == round,
    );
}

#[test]
fn a_sender_sees_the_room_or_the_receiver_that_it_is_wanted() {
    check_rounds(
        |ring, round| ring.want_room() == round,
        |ring, round| {
            ring.head.store(round, Ordering::Release);
            _ = ring.fall_asleep();
            ring.was_room_wanted()
        },
    );
}

#[test]
fn a_sleeper_is_woken_each_time() {
    let (kernel, worker) = ends(RING);
    thread::scope(|scope| {
        scope.spawn(|| echo(&worker, received));
        for round in 0..ROUNDS {
            kernel.send(&with_length(&round.to_le_bytes())).unwrap();
            assert_eq!(received(&kernel).unwrap(), round.to_le_bytes());
        }
        kernel.close();
    });
}

#[test]
fn a_sleeper_that_spins_a_moment_before_is_woken_each_time() {
    let moment = Duration::from_nanos(300);
    let (kernel, worker) = ends(RING);
    let next = |link: &Link| loop {
        {
            let mut receiving = link.receive();
            receiving.spin(moment);
            if let Some(frame) = receiving.next()? {
                return Ok(frame.to_vec());
            }
        }
        link.park(None)?;
    };
    thread::scope(|scope| {
        scope.spawn(|| echo(&worker, next));
        for round in 0..ROUNDS {
            kernel.send(&with_length(&round.to_le_bytes())).unwrap();
            assert_eq!(next(&kernel).unwrap(), round.to_le_bytes());
        }
        kernel.close();
    });
}

#[test]
fn a_sender_without_room_is_woken_each_time() {
    for mode in MODES {
        let (kernel, worker) = ends(mode);
        let bodies = || (0..ROUNDS / 20).map(|round| frame(1 + round % 2000, round));
        thread::scope(|scope| {
            scope.spawn(|| {
                for body in bodies() {
                    kernel.send(&body).unwrap();
                }
                while kernel.park(None) != Ok(Parked::Closed) {}
            });
            for body in bodies() {
                assert_eq!(received(&worker).unwrap(), body[4..]);
            }
            worker.close();
        });
    }
}

#[test]
fn a_sender_is_woken_for_the_room_of_one_frame() {
    for stays_awake in [false, true] {
        let (kernel, worker) = ends(RING);
        while kernel.outbox.lock().queued() == 0 {
            kernel.send(&frame(100, 1)).unwrap();
        }
        let mut holding = worker.receive();
        assert_eq!(holding.next(), Ok(Some(&frame(100, 1)[4..])));
        if stays_awake {
            holding.stay_awake();
        } else {
            drop(holding);
        }
        assert_eq!(kernel.park(Some(LONG)), Ok(Parked::Woken));
        assert_eq!(kernel.outbox.lock().queued(), 0);
    }
}

#[test]
fn a_sender_is_woken_while_much_is_still_to_be_received() {
    let (kernel, worker) = ends(RING);
    while kernel.outbox.lock().queued() == 0 {
        kernel.send(&frame(100, 1)).unwrap();
    }
    let mut holding = worker.receive();
    for _ in 0..RING / 4 / 104 + 1 {
        assert_eq!(holding.next(), Ok(Some(&frame(100, 1)[4..])));
    }
    assert_eq!(kernel.park(Some(LONG)), Ok(Parked::Woken));
}

#[test]
fn a_sender_is_woken_by_a_holder_that_spins() {
    let (kernel, worker) = ends(RING);
    let large = frame(1000 * RING, 1);
    thread::scope(|scope| {
        scope.spawn(|| {
            kernel.send(&large).unwrap();
            while kernel.park(None) != Ok(Parked::Closed) {}
        });
        assert!(spun_for(&worker).unwrap() == large[4..]);
        worker.close();
    });
}

#[test]
fn who_is_parked_sends_what_others_have_queued() {
    for mode in MODES {
        let (kernel, worker) = ends(mode);
        thread::scope(|scope| {
            scope.spawn(|| while kernel.park(None) != Ok(Parked::Closed) {});
            for round in 0..20 {
                kernel.send(&frame(1 << 20, round)).unwrap();
                assert!(received(&worker).unwrap() == frame(1 << 20, round)[4..]);
            }
            worker.close();
        });
    }
}

/// As the kernel does it: callers wait for their answers themselves if nobody else receives, and a
/// thread of its own takes what comes while nobody does.
#[test]
fn nothing_is_left_behind_between_callers_and_the_thread_that_parks() {
    const CALLERS: usize = 3;
    const EACH: usize = 10_000;
    for mode in MODES {
        let (kernel, worker) = ends(mode);
        let answered: [AtomicUsize; CALLERS] = array::from_fn(|_| AtomicUsize::new(0));
        let dispatch = |receiving: &mut Receiving<'_>| {
            while let Ok(Some(body)) = receiving.next() {
                answered[usize::from(body[0])].fetch_add(1, Ordering::AcqRel);
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| echo(&worker, received));
            scope.spawn(|| {
                while kernel.park(None) != Ok(Parked::Closed) {
                    dispatch(&mut kernel.receive());
                }
            });
            let callers: Vec<_> = answered
                .iter()
                .enumerate()
                .map(|(caller, answered)| {
                    let (kernel, dispatch) = (&kernel, &dispatch);
                    scope.spawn(move || {
                        for number in 0..EACH {
                            kernel.send(&with_length(&[caller as u8; 33])).unwrap();
                            while answered.load(Ordering::Acquire) <= number {
                                match kernel.try_receive() {
                                    Some(mut receiving) => {
                                        // One look, then the other thread has to do it.
                                        receiving.spin(Duration::ZERO);
                                        dispatch(&mut receiving);
                                    }
                                    None => thread::yield_now(),
                                }
                            }
                        }
                    })
                })
                .collect();
            for caller in callers {
                caller.join().unwrap();
            }
            kernel.close();
        });
        for answered in answered {
            assert_eq!(answered.into_inner(), EACH);
        }
    }
}

/// The callers send, and then wait for the thread that parks alone, while another takes the
/// receiving end and leaves everything where it is.
#[test]
fn what_a_holder_leaves_behind_wakes_the_thread_that_parks() {
    let (kernel, worker) = ends(RING);
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| echo(&worker, received));
        scope.spawn(|| {
            while kernel.park(None) != Ok(Parked::Closed) {
                while let Ok(Some(_)) = kernel.receive().next() {
                    answered.fetch_add(1, Ordering::AcqRel);
                }
            }
        });
        for round in 0..ROUNDS / 4 {
            kernel.send(&frame(round % 99 + 1, round)).unwrap();
            while answered.load(Ordering::Acquire) <= round {
                if let Some(mut receiving) = kernel.try_receive() {
                    receiving.spin(Duration::from_nanos(200));
                }
                thread::yield_now();
            }
        }
        kernel.close();
    });
}

#[test]
fn who_parks_after_something_was_left_behind_is_woken_at_once() {
    for mode in MODES {
        let (kernel, worker) = ends(mode);
        let mut holding = kernel.receive();
        worker.send(&frame(1, 1)).unwrap();
        worker.send(&frame(1, 2)).unwrap();
        assert!(kernel.try_receive().is_none());
        assert_eq!(holding.next(), Ok(Some(&frame(1, 1)[4..])));
        drop(holding);
        assert_eq!(kernel.park(Some(LONG)), Ok(Parked::Woken));
        assert_eq!(kernel.receive().next(), Ok(Some(&frame(1, 2)[4..])));
    }
}

#[test]
fn who_holds_the_receiving_end_is_not_woken() {
    let (kernel, worker) = ends(RING);
    let mut holding = kernel.receive();
    worker.send(&frame(1, 1)).unwrap();
    assert!(holding.spin(LONG));
    assert_eq!(holding.next(), Ok(Some(&frame(1, 1)[4..])));
    drop(holding);
    assert_eq!(kernel.park(Some(Duration::ZERO)), Ok(Parked::TimedOut));
    worker.send(&frame(1, 2)).unwrap();
    worker.send(&frame(1, 3)).unwrap();
    assert_eq!(kernel.park(Some(LONG)), Ok(Parked::Woken));
    // One was enough.
    assert_eq!(kernel.park(Some(Duration::ZERO)), Ok(Parked::TimedOut));
}

#[test]
fn a_holder_who_comes_back_is_not_woken_meanwhile() {
    let (kernel, worker) = ends(RING);
    let mut holding = kernel.receive();
    assert_eq!(holding.next(), Ok(None));
    holding.stay_awake();
    worker.send(&frame(1, 1)).unwrap();
    assert_eq!(kernel.park(Some(Duration::ZERO)), Ok(Parked::TimedOut));
    drop(kernel.receive());
    assert_eq!(kernel.park(Some(LONG)), Ok(Parked::Woken));
    assert_eq!(kernel.receive().next(), Ok(Some(&frame(1, 1)[4..])));
}

#[test]
fn time_passes() {
    for mode in MODES {
        let (kernel, _worker) = ends(mode);
        assert_eq!(kernel.park(Some(Duration::ZERO)), Ok(Parked::TimedOut));
        assert_eq!(
            kernel.park(Some(Duration::from_millis(1))),
            Ok(Parked::TimedOut)
        );
        assert!(!kernel.receive().spin(Duration::ZERO));
        assert!(!kernel.receive().spin(Duration::from_micros(100)));
    }
}

#[test]
fn closing_wakes_those_who_wait_at_both_ends() {
    for mode in MODES {
        let (kernel, worker) = ends(mode);
        thread::scope(|scope| {
            let parked = [&kernel, &kernel, &worker].map(|link| scope.spawn(|| link.park(None)));
            let spinning = scope.spawn(|| kernel.receive().spin(LONG));
            kernel.close();
            for parked in parked {
                assert_eq!(parked.join().unwrap(), Ok(Parked::Closed));
            }
            assert!(spinning.join().unwrap());
        });
    }
}
