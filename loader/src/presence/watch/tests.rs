//! Threads that enter, nest, end and do not return.

use std::{sync::mpsc, thread, time::Duration};

use super::{Blocked, Caller, Watch, seats};
use crate::{
    inside::{self, Owner},
    presence::{Errand, What},
};

/// Longer than an entry has to last.
const LONG: Duration = Duration::from_secs(1);

/// A thread that does one thing after the other, each when it is told, and is waited for.
struct Walker {
    tell: mpsc::Sender<Order>,
    done: mpsc::Receiver<()>,
    thread: thread::JoinHandle<()>,
}

#[derive(Clone, Copy)]
enum Order {
    /// Enter the code of this owner to handle this call, or the host.
    Enter(Owner, u32),
    Leave,
}

impl Walker {
    fn new() -> Self {
        let (tell, told) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        let walk = move || {
            while let Ok(Order::Enter(owner, call)) = told.recv() {
                walk(owner, call, &told, &done);
                let _ = done.send(());
            }
        };
        let thread = thread::Builder::new().name("walker".to_owned()).spawn(walk);
        Self {
            tell,
            done: is_done,
            thread: thread.expect("a thread"),
        }
    }

    fn go(&self, order: Order) {
        self.tell.send(order).expect("it listens");
        self.done.recv().expect("it has done so");
    }

    fn enter(&self, owner: Owner, call: u32) {
        self.go(Order::Enter(owner, call));
    }

    fn end(self) {
        drop(self.tell);
        self.thread.join().expect("it ends");
    }
}

fn walk(owner: Owner, call: u32, told: &mpsc::Receiver<Order>, done: &mpsc::Sender<()>) {
    inside::run(owner, Errand::call(call), || {
        let _ = done.send(());
        while let Ok(Order::Enter(owner, call)) = told.recv() {
            walk(owner, call, told, done);
            let _ = done.send(());
        }
    });
}

/// What is blocked among the code of one owner, of which there is one at most.
fn blocked(watch: &mut Watch, owner: Owner) -> Option<Blocked> {
    let mut blocked = watch.look_after(LONG).into_iter();
    blocked.find(|it| it.who.generation == owner.number())
}

fn call(owner: Owner, handler: u32) -> Caller {
    Caller {
        generation: owner.number(),
        doing: Errand::call(handler).doing(),
    }
}

#[test]
fn the_innermost_that_lasts_is_told_with_who_called_it() {
    let (outer, inner) = (Owner::next(), Owner::next());
    let (mut watch, walker) = (Watch::new(), Walker::new());
    walker.enter(outer, 1);
    walker.enter(Owner::PROCESS, 0);
    walker.enter(inner, 2);
    assert!(
        blocked(&mut watch, inner).is_none(),
        "it was seen for the first time"
    );
    let told = blocked(&mut watch, inner).expect("it lasts");
    assert_eq!(
        (told.who, &told.callers[..]),
        (call(inner, 2), &[call(outer, 1)][..])
    );
    assert_eq!((told.is_in_host, &*told.thread_name), (false, "walker"));
    assert_eq!(told.age, LONG);
    let again = blocked(&mut watch, inner).expect("it still lasts");
    assert_eq!((again.entry, again.age), (told.entry, 2 * LONG));
    walker.go(Order::Leave);
    let told = blocked(&mut watch, outer).expect("now that is the innermost");
    assert_eq!((told.who, told.is_in_host), (call(outer, 1), true));
    walker.go(Order::Leave);
    assert!(
        !blocked(&mut watch, outer)
            .expect("it still lasts")
            .is_in_host
    );
    walker.go(Order::Leave);
    assert!(blocked(&mut watch, outer).is_none());
    walker.end();
}

#[test]
fn who_goes_in_and_out_of_others_for_ever_is_told() {
    let (outer, inner) = (Owner::next(), Owner::next());
    let (mut watch, walker) = (Watch::new(), Walker::new());
    walker.enter(outer, 1);
    for is_told in [false, true, true] {
        walker.enter(inner, 2);
        let told = blocked(&mut watch, outer);
        assert_eq!(told.map(|it| it.who), is_told.then(|| call(outer, 1)));
        walker.go(Order::Leave);
    }
    drop(walker);
}

#[test]
fn one_entry_after_the_other_is_no_block() {
    let owner = Owner::next();
    let (mut watch, walker) = (Watch::new(), Walker::new());
    for _ in 0..3 {
        walker.enter(owner, 1);
        assert!(blocked(&mut watch, owner).is_none());
        walker.go(Order::Leave);
    }
    walker.end();
}

#[test]
fn a_plugins_own_thread_may_stay_in_the_host() {
    let (mut watch, walker) = (Watch::new(), Walker::new());
    walker.enter(Owner::PROCESS, 0);
    watch.look_after(LONG);
    let told = watch.look_after(LONG).into_iter();
    assert_eq!(told.filter(|it| it.who.generation == 0).count(), 0);
    drop(walker);
}

#[test]
fn other_threads_are_told_apart_by_what_they_do() {
    let owner = Owner::next();
    let (mut watch, walkers) = (Watch::new(), [(); 3].map(|()| Walker::new()));
    for (walker, handler) in walkers.iter().zip(0..) {
        walker.enter(owner, handler);
    }
    watch.look_after(LONG);
    let told = watch.look_after(LONG).into_iter();
    let told = told.filter(|it| it.who.generation == owner.number());
    let mut handlers: Vec<_> = told.map(|it| it.who.doing.what).collect();
    handlers.sort();
    assert_eq!(handlers, [What::Call(0), What::Call(1), What::Call(2)]);
}

#[test]
fn threads_that_end_give_their_seats_back() {
    let owner = Owner::next();
    let count = || {
        let mut seats = 0;
        seats::each(|_, _| seats += 1);
        seats
    };
    let before = count();
    for _ in 0..500 {
        let thread = thread::spawn(move || inside::run(owner, Errand::NONE, || {}));
        thread.join().expect("it ends");
    }
    // Other tests take some meanwhile.
    assert!(
        count() - before < 100,
        "{before} seats before, {} after",
        count()
    );
}

#[test]
fn what_runs_after_a_thread_gave_its_seat_back_takes_none_for_good() {
    struct Late(Owner);
    impl Drop for Late {
        fn drop(&mut self) {
            inside::run(self.0, Errand::NONE, || {
                assert_eq!(inside::owners().collect::<Vec<_>>(), [self.0]);
            });
        }
    }
    thread_local! {
        static LATE: std::cell::RefCell<Option<Late>> = const { std::cell::RefCell::new(None) };
    }
    let owner = Owner::next();
    let seats = (0..100).map(|_| {
        let thread = thread::spawn(move || {
            // Made before the holder of the seat, so dropped after it.
            LATE.set(Some(Late(owner)));
            inside::run(owner, Errand::NONE, || {});
        });
        thread.join().expect("it ends");
        let mut seats = 0;
        seats::each(|_, _| seats += 1);
        seats
    });
    let seats: Vec<usize> = seats.collect();
    let grown = seats[seats.len() - 1] - seats[0];
    assert!(!cfg!(target_os = "linux") || grown < 50, "{seats:?}");
}

#[test]
fn who_has_no_need_to_look_does_not_wait() {
    let watch = Watch {
        quiet: u32::MAX,
        ..Watch::default()
    };
    watch.rest(|| false);
}
