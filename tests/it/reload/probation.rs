//! Builds that come up well and fail in their first seconds.

use octa_kernel::lifecycle::State;
use serde_json::Value;

use super::stand::{COUNTER, Stand, UNWATCHED};
use crate::{
    fixtures,
    home::{Home, read, run, until},
    logs,
};

#[test]
fn a_build_that_fails_every_call_gives_way() {
    run(async {
        let stand = Stand::of("reload-a").await;
        let first = stand.generation();
        stand.succeed("reload-fails-calls").await;
        stand.served_by("reload-a").await;
        // What serves is recorded before it is shown.
        until(|| stand.generation().number == 3).await;
        let third = stand.generation();
        assert_eq!((third.number, &third.hash), (3, &first.hash));
        // What failed, failed for the bad one alone.
        let tally = stand.load.tally();
        let innocent = tally
            .failed
            .iter()
            .filter(|failed| !failed.contains("out of order"));
        assert_eq!(innocent.collect::<Vec<_>>(), [""; 0]);
        let waiting = stand.running.plugin(COUNTER).waiting;
        assert_eq!(waiting.len(), 1, "{waiting:?}");
        stand.succeed("reload-b").await;
        let tally = stand.load.end().await;
        let counted = stand.running.call("counter.get", Value::Null).await;
        assert_eq!(counted.expect("it answers")["counts"]["added"], tally.added);
        stand.running.end().await;
    });
}

#[test]
fn a_build_that_fails_once_stays() {
    run(async {
        let stand = Stand::of("reload-a").await;
        stand.succeed("reload-fails-once").await;
        stand.load.goes_on(100).await;
        stand.served_by("reload-fails-once").await;
        assert_eq!(stand.generation().number, 2);
        let tally = stand.load.end().await;
        assert_eq!(tally.failed.len(), 1, "{:?}", tally.failed);
        assert!(
            tally.failed[0].contains("not yet warm"),
            "{:?}",
            tally.failed
        );
        stand.running.check(COUNTER, State::Started, &[]);
        stand.running.end().await;
    });
}

#[test]
fn a_build_that_blocks_its_callers_is_replaced_without_its_state() {
    run(async {
        let home = Home::with(&[]).config(&format!("{UNWATCHED}stop_deadline = \"50ms\"\n"));
        home.put("counter", &read(&fixtures::library("reload-a")));
        let running = home.start().await;
        let put = |build| {
            running
                .home
                .put("counter", &read(&fixtures::library(build)))
        };
        put("reload-hangs-in-call");
        let kernel = &running.kernel;
        kernel.reload_plugin(COUNTER).await.expect("it comes up");
        // Blocks the thread it is called from, as every handler that does not await.
        let caller = std::thread::spawn({
            let kernel = kernel.clone();
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                let runtime = runtime.expect("a runtime");
                runtime
                    .block_on(kernel.call::<Value>("counter.get", &()))
                    .map(drop)
            }
        });
        until(|| !logs::lines_with("reload-hangs-in-call blocks for ever").is_empty()).await;
        put("reload-b");
        let refused = kernel.reload_plugin(COUNTER).await;
        let refused = refused.expect_err("its state cannot be had");
        assert_eq!(
            running.told(&refused.0),
            "deadline: 1 calls or events of plugin `counter` block their threads, so its state \
             cannot be saved (hint: let such code wait at an `await`, or end it before the reload)"
        );
        kernel.unload_plugin(COUNTER).await.expect("it ends");
        kernel.start_plugin(COUNTER).await.expect("it starts");
        assert_eq!(running.plugin(COUNTER).version, "1.1.0");
        let counted = running.call("counter.get", Value::Null).await;
        assert_eq!(counted.expect("it answers")["by"], "reload-b");
        assert!(!caller.is_finished());
        until(|| !running.plugin(COUNTER).retired.is_empty()).await;
        running.end().await;
    });
}
