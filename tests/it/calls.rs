//! Calls: nested ones, cycles, several providers, and such that block.

use octa_kernel::lifecycle::State;
use serde_json::{Value, json};

use crate::{
    forge,
    home::{Home, Running, next, run},
};

/// A home with two relays that may call everything.
fn relays(more: &[&str]) -> Home {
    let home = Home::with(&[&["relay"], more].concat());
    home.put("delay", &forge::manifest("relay", &[("relay", "delay")]));
    home.config("[plugins.relay.allow]\ncall = [\"**\"]\n[plugins.delay.allow]\ncall = [\"**\"]\n")
}

/// The input that makes relays forward to each other, and the last one to a capability.
fn through(relays: &[&str], capability: &str, input: Value) -> Value {
    let last = json!({ "capability": capability, "input": input });
    relays.iter().rev().fold(
        last,
        |input, relay| json!({ "capability": format!("{relay}.forward"), "input": input }),
    )
}

#[test]
fn nested() {
    run(async {
        let running = relays(&[]).start().await;
        let input = through(&["delay"], "neighbour.echo", json!({ "hello": [1, 2] }));
        let answer = running.call("relay.forward", input).await;
        assert_eq!(answer, Ok(json!({ "hello": [1, 2] })));
        running.end().await;
    });
}

#[test]
fn a_cycle_is_named() {
    run(async {
        let running = relays(&[]).start().await;
        let input = through(&["delay", "relay"], "neighbour.echo", json!(1));
        let answer = running.call("relay.forward", input).await;
        assert_eq!(
            answer,
            Err(
                "cycle: the call waits for itself: `relay.forward` → `delay.forward` → \
                `relay.forward` (hint: publish an event instead of calling back)"
                    .to_owned()
            )
        );
        running.end().await;
    });
}

#[test]
fn an_unknown_capability_is_told_with_the_nearest() {
    run(async {
        let running = relays(&[]).start().await;
        let expect = "unknown-capability: no plugin offers the capability `neighbour.ecko` \
                      (hint: did you mean `neighbour.echo`?)";
        let answer = running.call("neighbour.ecko", json!(1)).await;
        assert_eq!(answer, Err(expect.to_owned()));
        let nested = running
            .call("relay.forward", through(&[], "neighbour.ecko", json!(1)))
            .await;
        assert_eq!(nested, Err(expect.to_owned()));
        running.end().await;
    });
}

#[test]
fn an_input_of_the_wrong_type_is_told() {
    run(async {
        let running = Home::with(&["panics-in-handler"]).start().await;
        let answer = running.call("panics-in-handler.now", json!("text")).await;
        assert_eq!(
            answer,
            Err(
                "invalid-input: the input: not the JSON expected: invalid type: string \
                \"text\", expected u32 at line 1 column 6"
                    .to_owned()
            )
        );
        running.end().await;
    });
}

#[test]
fn providers_take_turns_and_stand_in_for_each_other() {
    run(async {
        let home = Home::with(&["provider"]);
        home.put(
            "produces",
            &forge::manifest("provider", &[("provider", "produces")]),
        );
        let allow = "allow.provide = [\"shared.**\"]\n";
        let running = home
            .config(&format!(
                "[plugins.provider]\n{allow}[plugins.produces]\n{allow}"
            ))
            .start()
            .await;
        assert_eq!(
            answers(&running).await,
            ["produces", "produces", "provider", "provider"]
        );
        running
            .kernel
            .stop_plugin("provider")
            .await
            .expect("it stops");
        assert_eq!(answers(&running).await, ["produces"; 4]);
        running
            .kernel
            .start_plugin("provider")
            .await
            .expect("it starts again");
        assert_eq!(
            answers(&running).await,
            ["produces", "produces", "provider", "provider"]
        );
        running.check("provider", State::Started, &[]);
        running.end().await;
    });
}

/// Who answered four calls, in the order of their names.
async fn answers(running: &Running) -> Vec<String> {
    let mut answers = Vec::new();
    for _ in 0..4 {
        let answer = running
            .call("shared.who", json!(null))
            .await
            .expect("somebody answers");
        answers.push(answer.as_str().unwrap_or_default().to_owned());
    }
    answers.sort();
    answers
}

#[test]
fn a_handler_that_blocks_as_declared_holds_up_nobody() {
    run(async {
        let running = Home::with(&["blocks-in-handler"]).start().await;
        let mut begun = running.subscribe("blocks-in-handler.begun").await;
        let meanwhile = async {
            next(&mut begun).await;
            running.check_neighbour().await;
            running
                .call("blocks-in-handler.release", json!(null))
                .await
                .expect("it goes on");
        };
        let (answer, ()) = tokio::join!(
            running.call("blocks-in-handler.wait", json!(null)),
            meanwhile
        );
        assert_eq!(answer, Ok(json!(null)));
        running.end().await;
    });
}
