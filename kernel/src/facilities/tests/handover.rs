//! What a generation takes over from the one before, and what becomes of it if it fails.

use std::task::Wake;

use super::*;

/// Values of the events that a subscription has ready.
fn drain(facilities: &Facilities, subscription: u64) -> Vec<u64> {
    let next = || is_ready(&mut next(facilities, subscription).ok()?);
    std::iter::from_fn(next)
        .map(|outcome| value(&outcome.result.expect("an event")))
        .collect()
}

#[test]
fn a_queue_moves_with_what_lies_there() {
    let bench = Bench::new();
    let publisher = bench.serving();
    let (old, new) = (bench.serving(), bench.on_trial());
    let theirs = subscribe(&old, "lamp.on").expect("a number");
    let ours = subscribe(&new, "lamp.on").expect("a number");
    publish(&publisher, "lamp.on", 1).expect("it publishes");
    let mut waiting = next(&new, ours).expect("it waits");
    assert!(is_ready(&mut waiting).is_none(), "not before the switch");
    assert_eq!(drain(&old, theirs), [1], "the old one goes on");
    publish(&publisher, "lamp.on", 2).expect("it publishes");
    publish(&publisher, "lamp.on", 3).expect("it publishes");
    new.release(Some(&old));
    publish(&publisher, "lamp.on", 4).expect("it publishes");
    let first = is_ready(&mut waiting).expect("an event").result;
    assert_eq!(value(&first.expect("an event")), 2);
    drop(waiting);
    assert_eq!(drain(&new, ours), [3, 4]);
    let ended = "not-found: the subscription 1 has ended".to_owned();
    assert_eq!(next(&old, theirs).err(), Some(ended));
    let handles = bench.commons.bus.subscriptions();
    assert_eq!(handles.len(), 1, "one queue");
    assert_eq!(old.holdings().subscriptions, 0);
    assert_eq!(new.holdings().subscriptions, 1);
}

#[test]
fn who_waits_is_told_that_the_queue_has_moved() {
    let bench = Bench::new();
    let (old, new) = (bench.serving(), bench.on_trial());
    let theirs = subscribe(&old, "lamp.on").expect("a number");
    let waiting = next(&old, theirs).expect("it waits");
    let (tell, told) = mpsc::channel();
    old.drive(Box::pin(async move {
        let _ = tell.send(waiting.await);
    }));
    bench.settle();
    subscribe(&new, "lamp.on").expect("a number");
    new.release(Some(&old));
    let outcome = told.recv().expect("it is woken");
    let error = outcome.result.expect_err("it has ended").to_string();
    assert_eq!(error, "the subscription 1 has ended");
}

#[test]
fn who_waits_on_trial_is_told_that_there_is_a_queue() {
    let bench = Bench::new();
    let lamp = bench.on_trial();
    let number = subscribe(&lamp, "lamp.on").expect("a number");
    let waiting = next(&lamp, number).expect("it waits");
    let (tell, told) = mpsc::channel();
    lamp.drive(Box::pin(async move {
        let _ = tell.send(waiting.await);
    }));
    bench.settle();
    lamp.release(None);
    publish(&lamp, "lamp.on", 1).expect("it publishes");
    let event = told.recv().expect("it is woken").result;
    assert_eq!(value(&event.expect("an event")), 1);
}

#[test]
fn each_subscription_takes_over_one() {
    let bench = Bench::new();
    let publisher = bench.serving();
    let (old, new) = (bench.serving(), bench.on_trial());
    subscribe(&old, "lamp.on").expect("a number");
    subscribe(&old, "lamp.**").expect("a number");
    let ours =
        ["lamp.**", "lamp.off", "lamp.on", "lamp.on"].map(|pattern| subscribe(&new, pattern));
    publish(&publisher, "lamp.on", 1).expect("it publishes");
    new.release(Some(&old));
    publish(&publisher, "lamp.on", 2).expect("it publishes");
    let drained = ours.map(|number| drain(&new, number.expect("a number")));
    assert_eq!(drained, [vec![1, 2], vec![], vec![1, 2], vec![2]]);
}

#[test]
fn what_was_unsubscribed_on_trial_takes_nothing_over() {
    let bench = Bench::new();
    let publisher = bench.serving();
    let (old, new) = (bench.serving(), bench.on_trial());
    let theirs = subscribe(&old, "lamp.on").expect("a number");
    let ours = subscribe(&new, "lamp.on").expect("a number");
    let end = Request {
        number: ours,
        ..request(operation::UNSUBSCRIBE, "")
    };
    assert_eq!(ask(&new, &end).map(|outcome| outcome.number), Ok(1));
    new.release(Some(&old));
    publish(&publisher, "lamp.on", 1).expect("it publishes");
    assert_eq!(drain(&old, theirs), [1]);
}

#[test]
fn its_own_events_reach_what_it_subscribed_to_before() {
    let bench = Bench::new();
    let lamp = bench.on_trial();
    publish(&lamp, "lamp.on", 1).expect("it is held");
    let number = subscribe(&lamp, "lamp.on").expect("a number");
    publish(&lamp, "lamp.on", 2).expect("it is held");
    lamp.release(None);
    assert_eq!(drain(&lamp, number), [2]);
}

/// Publishes when it is woken.
struct Echo(Arc<Facilities>);

impl Wake for Echo {
    fn wake(self: Arc<Self>) {
        publish(&self.0, "lamp.on", 9).expect("it publishes");
    }
}

#[test]
fn what_comes_while_held_events_are_sent_comes_after_them() {
    let bench = Bench::new();
    let mut listener = bench.subscribe(|it| it);
    let lamp = bench.on_trial();
    let echo = Waker::from(Arc::new(Echo(lamp.clone())));
    let polled = listener.poll_recv(&mut Context::from_waker(&echo));
    assert!(polled.is_pending());
    for what in 1..4 {
        publish(&lamp, "lamp.on", what).expect("it is held");
    }
    lamp.release(None);
    assert_eq!(received(&mut listener), [1, 2, 3, 9]);
}

#[test]
fn of_a_failed_trial_nothing_is_left_and_nobody_noticed() {
    let bench = Bench::new();
    let mut listener = bench.subscribe(|it| it);
    let (old, new) = (bench.serving(), bench.on_trial());
    let theirs = subscribe(&old, "lamp.on").expect("a number");
    let ours = subscribe(&new, "lamp.on").expect("a number");
    let waiting = next(&new, ours).expect("it waits");
    publish(&new, "lamp.on", 1).expect("it is held");
    let (tell, told) = mpsc::channel::<()>();
    new.run_task(telling(tell));
    let held = Holdings {
        subscriptions: 1,
        events: 1,
        tasks: 1,
    };
    assert_eq!(new.holdings(), held);
    new.close();
    assert_eq!(new.holdings(), Holdings::default());
    told.recv().expect_err("the task was dropped");
    assert!(block_on(waiting).result.is_err(), "who waited is told");

    let gone = "plugin-gone: this generation of plugin `lamp` has failed and will not take over";
    assert_eq!(publish(&new, "lamp.on", 2), Err(gone.to_owned()));
    assert_eq!(subscribe(&new, "lamp.on"), Err(gone.to_owned()));
    new.release(Some(&old));
    assert_eq!(new.holdings(), Holdings::default());
    assert!(received(&mut listener).is_empty());
    publish(&old, "lamp.on", 3).expect("it publishes");
    assert_eq!(drain(&old, theirs), [3]);
}

#[test]
fn a_queue_that_moves_takes_on_the_capacity_of_the_next_generation() {
    let bench = Bench::new();
    let publisher = bench.serving();
    let (old, new) = (bench.serving(), bench.on_trial());
    let with = |lamp: &Facilities, capacity| {
        let asked = Request {
            number: capacity,
            ..request(operation::SUBSCRIBE, "lamp.on")
        };
        ask(lamp, &asked).expect("a number").number
    };
    with(&old, 2);
    let ours = with(&new, 8);
    new.release(Some(&old));
    for what in 0..10 {
        publish(&publisher, "lamp.on", what).expect("it publishes");
    }
    assert_eq!(drain(&new, ours), (2..10).collect::<Vec<_>>());
}

#[test]
fn what_was_answered_and_not_taken_comes_again() {
    let bench = Bench::new();
    let publisher = bench.serving();
    let (old, new) = (bench.serving(), bench.on_trial());
    let theirs = subscribe(&old, "lamp.on").expect("a number");
    let ours = subscribe(&new, "lamp.on").expect("a number");
    for what in 1..4 {
        publish(&publisher, "lamp.on", what).expect("it publishes");
    }
    let answered = |waiting: &mut BoxFuture<Outcome>| {
        let outcome = is_ready(waiting).expect("an event");
        value(&outcome.result.expect("an event"))
    };
    let mut first = next(&old, theirs).expect("it waits");
    assert_eq!(answered(&mut first), 1);
    let mut again = next(&old, theirs).expect("it waits");
    drop(first);
    assert_eq!(answered(&mut again), 1);
    drop(again);
    let mut second = next(&old, theirs).expect("it waits");
    assert_eq!(answered(&mut second), 2, "the first is taken");
    drop(next(&old, theirs));
    drop(second);
    new.release(Some(&old));
    assert_eq!(drain(&new, ours), [2, 3]);
}

#[test]
fn what_was_answered_when_the_queue_moves_is_taken() {
    let bench = Bench::new();
    let publisher = bench.serving();
    let (old, new) = (bench.serving(), bench.on_trial());
    let theirs = subscribe(&old, "lamp.on").expect("a number");
    let ours = subscribe(&new, "lamp.on").expect("a number");
    publish(&publisher, "lamp.on", 1).expect("it publishes");
    let mut answered = next(&old, theirs).expect("it waits");
    assert!(is_ready(&mut answered).is_some());
    new.release(Some(&old));
    drop(answered);
    assert!(drain(&new, ours).is_empty());
}
