//! Retained events: whoever comes is handed the last one of each topic.

use serde_json::json;

use super::stage::Topic;

#[test]
fn whoever_comes() {
    Topic::of("retained").check_between(async |stage| {
        let kernel = stage.running.kernel.clone();
        let mut told = stage.listen("conformer.told").await;
        kernel.stop_plugin("conformer").await.expect("it stops");
        let retained = kernel.publish_retained("conformer.in.old", &"of the host");
        let matched = retained.await.expect("a topic");
        stage.note(&format!("retained, heard by {matched}"));
        let steps = json!([
            { "publish-retained": ["conformer.in.mine", "never heard"] },
            { "publish-retained": ["conformer.in.mine", "of the companion"] },
            { "publish": ["conformer.in.mine", "not retained"] },
            { "publish-retained": ["kernel.plugin.started", 1] },
            { "publish-retained": ["conformer.in.*", 1] },
            { "publish-retained": ["foreign.topic", 1] },
        ]);
        stage.steps("companion.run", steps).await;
        // What it declares is handed them when it starts.
        kernel.start_plugin("conformer").await.expect("it starts");
        stage.hear_all(&mut told, 4).await;
        stage.hear_nothing(&mut told);
        // What is not retained leaves what is.
        stage.publish("conformer.in.old", json!("passing by")).await;
        stage.hear_all(&mut told, 2).await;
        let take = |pattern: &str, count: usize| json!({ "take": [pattern, count] });
        let listen = |pattern: &str, topic: &str| json!({ "listen": [pattern, [[topic, "new"]]] });
        let steps = json!([
            take("conformer.in.*", 2),
            take("conformer.in.old", 1),
            // First that which is retained.
            listen("conformer.in.mine", "conformer.in.mine"),
            { "publish-retained": ["conformer.signal.a", "newer"] },
            take("conformer.signal.**", 1),
            { "clear-retained": "conformer.in.old" },
            { "clear-retained": "conformer.in.old" },
            { "clear-retained": "conformer.in.*" },
            { "clear-retained": "kernel.plugin.started" },
            take("conformer.in.**", 1),
            listen("conformer.in.old", "conformer.in.old"),
        ]);
        for capability in ["conformer.run", "conformer.run_in_thread"] {
            stage.steps(capability, steps.clone()).await;
            let again = json!([{ "publish-retained": ["conformer.in.old", "of the companion"] }]);
            stage.steps("companion.run", again).await;
        }
    });
}
