//! Ten thousand panics, wherever a plugin can: the host goes on.

use serde_json::{Value, json};

use crate::home::{Home, Running, run};

/// How many are under way at once.
const AT_ONCE: usize = 100;

/// Calls a capability so often that it panics `times`.
async fn panic(running: &Running, capability: &'static str, input: Value, times: usize) {
    for _ in 0..times / AT_ONCE {
        let calls: Vec<_> = (0..AT_ONCE)
            .map(|_| running.call_aside(capability, input.clone()))
            .collect();
        for call in calls {
            // Where the panic is not that of the call, it has an answer.
            let _ = call.await.expect("it ends");
        }
    }
}

#[test]
fn ten_thousand_panics_end_no_host() {
    run(async {
        let fixtures = [
            "panics-in-handler",
            "panics-in-poll",
            "panics-in-waker",
            "panics-in-thread",
            "panics-in-drop",
        ];
        let running = Home::with(&fixtures).start().await;
        panic(&running, "panics-in-handler.now", json!(13), 4_000).await;
        panic(&running, "panics-in-poll.later", Value::Null, 3_000).await;
        panic(&running, "panics-in-waker.now", Value::Null, 1_900).await;
        panic(&running, "panics-in-thread.now", Value::Null, 1_000).await;
        let kernel = &running.kernel;
        for _ in 0..100 {
            kernel
                .unload_plugin("panics-in-drop")
                .await
                .expect("it ends");
            kernel
                .start_plugin("panics-in-drop")
                .await
                .expect("it starts");
        }
        running.end().await;
    });
}
