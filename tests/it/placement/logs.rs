//! What plugins write into the log.

use serde_json::json;

use super::stage::Topic;

#[test]
fn logs() {
    Topic::of("logs").check(async |stage| {
        let mut lines = 0;
        for capability in [
            "conformer.run",
            "companion.run",
            "conformer.run_blocking",
            "conformer.run_in_thread",
        ] {
            // Less than info is not wanted.
            let steps = ["error", "warn", "info", "debug", "trace"].map(|level| {
                json!({ "log": [level, format!("{level} of {capability} {}", stage.mark())] })
            });
            stage.steps(capability, json!(steps)).await;
            lines += 3;
        }
        let text = format!("two\nlines {}", stage.mark());
        stage
            .steps_in_task(json!([{ "log": ["warn", text] }]))
            .await;
        let many = (0..200)
            .map(|number| json!({ "log": ["info", format!("line {number} {}", stage.mark())] }));
        let many: Vec<_> = many.collect();
        let answer = stage.running.call("conformer.run", json!(many)).await;
        answer.expect("it logs");
        stage.logged(lines + 1 + 200).await;
    });
}
