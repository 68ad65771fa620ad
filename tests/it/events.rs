//! Events: order, overflow, retries, and handlers that block.

use std::{ops::Range, thread::available_parallelism};

use octa_kernel::bus::Subscription;
use serde_json::{Value, json};

use crate::{
    forge,
    home::{Home, next, run, until},
};

async fn take(events: &mut Subscription, count: usize) -> Vec<Value> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(next(events).await);
    }
    taken
}

#[test]
fn they_arrive_in_order() {
    run(async {
        let running = Home::with(&[]).start().await;
        let mut pongs = running.subscribe("neighbour.pong").await;
        let numbers: Vec<Value> = (0..500).map(Value::from).collect();
        for number in &numbers {
            running.publish("neighbour.ping", number.clone()).await;
        }
        assert_eq!(take(&mut pongs, numbers.len()).await, numbers);
        running.end().await;
    });
}

#[test]
fn the_oldest_give_way_and_are_counted() {
    run(async {
        let running = Home::with(&["lags"]).start().await;
        let mut begun = running.subscribe("lags.begun").await;
        let mut handled = running.subscribe("lags.handled").await;
        let mut overflow = running.subscribe("kernel.bus.overflow").await;
        running.publish("lags.in", 0.into()).await;
        assert_eq!(next(&mut begun).await, 0);
        for number in 1..=9 {
            running.publish("lags.in", number.into()).await;
        }
        let lags = running.plugin("lags");
        let counted = &lags.subscriptions[0];
        assert_eq!((counted.matched, counted.delivered), (10, 1));
        assert_eq!((counted.dropped, counted.queued), (5, 4));
        let notice = next(&mut overflow).await;
        assert_eq!(
            (&notice["subscription"], &notice["pattern"]),
            (&json!("lags"), &json!("lags.in"))
        );
        running
            .call("lags.release", json!(null))
            .await
            .expect("it goes on");
        assert_eq!(
            take(&mut handled, 5).await,
            [0, 6, 7, 8, 9].map(Value::from)
        );
        running.end().await;
    });
}

#[test]
fn as_many_are_handled_at_once_as_declared() {
    run(async {
        let running = Home::with(&["juggles"]).start().await;
        let mut begun = running.subscribe("juggles.begun").await;
        for number in 0..3 {
            running.publish("juggles.in", number.into()).await;
        }
        // None of them ends before the release.
        let mut at_once = take(&mut begun, 2).await;
        at_once.sort_by_key(Value::as_u64);
        assert_eq!(at_once, [0, 1].map(Value::from));
        let release = running.call("juggles.release", json!(null));
        release.await.expect("it goes on");
        assert_eq!(next(&mut begun).await, 2);
        running.end().await;
    });
}

#[test]
fn what_fails_too_often_is_a_dead_letter() {
    run(async {
        let running = Home::with(&["fails-on-events"]).start().await;
        let mut tried = running.subscribe("fails-on-events.tried").await;
        let mut dead = running.subscribe("kernel.dead_letter").await;
        for number in [7, 8] {
            running.publish("fails-on-events.in", number.into()).await;
            assert_eq!(take(&mut tried, 3).await, [0, 1, 2].map(Value::from));
            let mut letter = next(&mut dead).await;
            assert_eq!(running.said(&letter).await, number.to_string());
            letter["id"].take();
            letter["letter"].take();
            assert_eq!(
                letter,
                json!({
                    "plugin": "fails-on-events",
                    "subscription": "fails-on-events.in",
                    "cause": format!("number {number} is of no use"),
                    "kind": "failed",
                    "attempts": 3,
                    "letter": null,
                    "topic": "fails-on-events.in",
                    "source": "host",
                    "id": null,
                })
            );
        }
        running.end().await;
    });
}

/// Checks what becomes of events when a stop cuts off the handler at number 2: some are published
/// `before` it hangs, the others while it does.
fn check_cut_off(before: Range<u32>, while_it_hangs: Range<u32>) {
    run(async {
        let home = Home::with(&["hangs-in-event"]).config("[kernel]\nstop_deadline = \"50ms\"\n");
        let running = home.start().await;
        let mut begun = running.subscribe("hangs-in-event.begun").await;
        let mut dead = running.subscribe("kernel.dead_letter").await;
        let mut dropped = running.subscribe("kernel.bus.overflow").await;
        for number in before {
            running.publish("hangs-in-event.in", number.into()).await;
        }
        assert_eq!(take(&mut begun, 3).await, [0, 1, 2].map(Value::from));
        for number in while_it_hangs {
            running.publish("hangs-in-event.in", number.into()).await;
        }
        let stopped = running.kernel.stop_plugin("hangs-in-event").await;
        stopped.expect("it stops");
        let letter = next(&mut dead).await;
        assert_eq!(running.said(&letter).await, "2");
        assert_eq!(letter["kind"], "interrupted");
        let told = next(&mut dropped).await;
        assert_eq!(
            (&told["subscription"], &told["dropped"]),
            (&json!("hangs-in-event"), &json!(2))
        );
        running.end().await;
        assert!(dead.try_recv().is_none(), "told twice, or though handled");
        assert!(dropped.try_recv().is_none(), "told twice");
        assert!(begun.try_recv().is_none(), "begun after the stop");
    });
}

#[test]
fn what_a_stop_cuts_off_is_a_dead_letter() {
    check_cut_off(0..5, 5..5);
}

#[test]
fn what_waits_behind_what_a_stop_cuts_off_is_counted() {
    check_cut_off(0..3, 3..5);
}

#[test]
fn handlers_that_block_their_thread_hold_up_nobody_else() {
    run(async {
        let threads = available_parallelism().map_or(2, usize::from).max(2);
        let names: Vec<String> = (0..threads)
            .map(|n| format!("blocks-{n:02}-event"))
            .collect();
        let home = Home::with(&[]);
        for name in &names {
            home.put(
                name,
                &forge::manifest("blocks-in-event", &[("blocks-in-event", name)]),
            );
        }
        let running = home.start().await;
        let mut begun = running.subscribe("*.begun").await;
        for name in &names {
            running.publish(&format!("{name}.in"), 1.into()).await;
        }
        take(&mut begun, threads).await;
        running.check_neighbour().await;
        for name in &names {
            running
                .call(&format!("{name}.release"), json!(null))
                .await
                .expect("it goes on");
        }
        until(|| {
            running
                .kernel
                .plugins()
                .iter()
                .all(|plugin| plugin.unfinished == 0)
        })
        .await;
        running.end().await;
    });
}
