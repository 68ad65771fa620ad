//! Good builds that follow each other: nothing is lost, nothing is doubled, whoever answers.

use octa_kernel::{ReloadKind, StateSource};
use serde_json::{Value, json};

use super::stand::{COUNTER, Stand, UNWATCHED};
use crate::{
    fixtures,
    home::{Home, next, read, run},
};

#[test]
fn the_count_goes_on() {
    run(async {
        let stand = Stand::of("reload-a").await;
        let mut told = stand.running.subscribe("kernel.plugin.reloaded").await;
        let reloaded = stand.succeed("reload-b").await;
        assert_eq!(reloaded.plugin, COUNTER);
        assert_eq!(reloaded.kind, ReloadKind::Handover);
        let versions = (&*reloaded.from.version, &*reloaded.to.version);
        assert_eq!(versions, ("1.0.0", "1.1.0"));
        assert_eq!((reloaded.from.number, reloaded.to.number), (1, 2));
        let state = reloaded.state.expect("state was handed over");
        assert_eq!(
            (state.source, state.from, state.to),
            (StateSource::Current, 1, 2)
        );
        assert_eq!(next(&mut told).await["plugin"], COUNTER);
        assert_eq!(stand.generation(), reloaded.to);
        stand.load.goes_on(50).await;
        let tally = stand.load.tally();
        let builds: Vec<_> = tally.by.iter().collect();
        assert_eq!(builds, ["reload-a", "reload-b"]);
        stand.end("reload-b").await;
    });
}

#[test]
fn fifty_times_in_a_row() {
    run(async {
        let stand = Stand::of("reload-b").await;
        for number in 2..52 {
            let reloaded = stand.succeed("reload-b").await;
            assert_eq!(reloaded.to.number, number);
            stand.load.goes_on(5).await;
        }
        stand.end("reload-b").await;
    });
}

#[test]
fn a_plan_changes_nothing() {
    run(async {
        let stand = Stand::of("reload-a").await;
        let before = stand.generation();
        stand.put("reload-b");
        let plan = stand.running.kernel.plan_reload(COUNTER).await;
        let plan = plan.expect("it could be reloaded");
        assert_eq!(plan.kind, ReloadKind::Handover);
        assert_eq!((&plan.from, &*plan.version), (&before, "1.1.0"));
        assert_eq!(plan.problems, []);
        stand.put("reload-asks-more");
        let plan = stand.running.kernel.plan_reload(COUNTER).await;
        assert_eq!(plan.expect("it is a plugin").problems.len(), 1);
        assert_eq!(stand.generation(), before);
        stand.put("reload-a");
        stand.end("reload-a").await;
    });
}

#[test]
fn twins_without_state() {
    run(async {
        let home = Home::with(&[]).config(UNWATCHED);
        home.put("twin", &read(&fixtures::library("reload-twin-a")));
        let running = home.start().await;
        let mut pongs = running.subscribe("twin.pong").await;
        let mut published = 0;
        for build in ["reload-twin-b", "reload-twin-a", "reload-twin-b"] {
            running.home.put("twin", &read(&fixtures::library(build)));
            // Under way when the old one is to leave.
            let waiting: Vec<_> = (0..20)
                .map(|_| running.call_aside("twin.who_later", Value::Null))
                .collect();
            for _ in 0..100 {
                running.publish("twin.ping", json!(published)).await;
                published += 1;
            }
            let reloaded = running.kernel.reload_plugin("twin").await;
            let reloaded = reloaded.expect("it is reloaded");
            assert_eq!((reloaded.kind, reloaded.paused), (ReloadKind::Overlap, 0));
            let who = running.call("twin.who", Value::Null).await;
            assert_eq!(who, Ok(json!(build)));
            for call in waiting {
                call.await.expect("it ends").expect("it is answered");
            }
        }
        // Each once, and in their order.
        for ping in 0..published {
            assert_eq!(next(&mut pongs).await["ping"], json!(ping));
        }
        assert!(pongs.try_recv().is_none());
        running.end().await;
    });
}
