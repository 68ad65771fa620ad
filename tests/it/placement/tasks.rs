//! Tasks: begun, ended, aborted, and cut off by a stop.

use serde_json::json;

use super::stage::{CONFORMER, Topic};

#[test]
fn tasks() {
    Topic::of("tasks").check(async |stage| {
        let mut told = stage.listen("conformer.task").await;
        stage.call("conformer.spawn", json!("ends")).await;
        stage.hear(&mut told).await;
        stage.unfinished(0).await;
        for _ in 0..3 {
            stage.call("conformer.spawn", json!("waits")).await;
            stage.hear(&mut told).await;
        }
        stage.unfinished(3).await;
        stage.call("conformer.abort", json!(null)).await;
        stage.hear(&mut told).await;
        stage.unfinished(2).await;
        // Aborted long after its end.
        stage.call("conformer.spawn", json!("ends")).await;
        stage.hear(&mut told).await;
        stage.unfinished(2).await;
        stage.call("conformer.abort", json!(null)).await;
        stage.unfinished(2).await;
        for capability in [
            "conformer.run",
            "conformer.run_blocking",
            "conformer.run_in_thread",
        ] {
            stage
                .steps(capability, json!([{ "spawn": "conformer.task" }]))
                .await;
            stage.hear(&mut told).await;
        }
        stage.unfinished(2).await;
        let stopped = stage.running.kernel.stop_plugin(CONFORMER).await;
        stopped.expect("it stops");
        stage.hear(&mut told).await;
        stage.hear(&mut told).await;
        stage.unfinished(0).await;
        stage.hear_nothing(&mut told);
    });
}
