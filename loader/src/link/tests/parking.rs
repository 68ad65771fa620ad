//! Who sleeps is woken: by the other end, by those who let go of the receiving end, by the end of
//! time and of the link. A wake-up that is lost stops these tests for good.

use super::*;

const ROUNDS: usize = 100_000;

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
