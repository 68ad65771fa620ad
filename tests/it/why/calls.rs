//! Where calls go and how they are treated.

use octa_kernel::{BreakerState, ServiceStatus};
use serde_json::json;

use super::check;
use crate::{
    fixtures, forge,
    home::{Home, Running, next, read, run, until},
};

/// The standing of a plugin that serves, as deep as it is told of a provider.
fn serving(plugin: &str) -> String {
    format!(
        "    `{plugin}` 0.1.0 is started
      generation 1, version 0.1.0 with content …, serves in the kernel's process"
    )
}

const USUAL_DEADLINE: &str =
    "a call has 30s unless its caller says otherwise, as `call_deadline` in `[kernel]` says";

/// A home with two who offer `shared.who`, treated so.
fn twins(settings: &str) -> Home {
    let home = Home::with(&["provider"]);
    home.put(
        "produces",
        &forge::manifest("provider", &[("provider", "produces")]),
    );
    let allow = "allow.provide = [\"shared.**\"]";
    home.config(&format!(
        "[plugins.provider]\n{allow}\n[plugins.produces]\n{allow}\n{settings}"
    ))
}

/// A home with one whose calls panic, treated so.
fn panicking(settings: &str) -> Home {
    let settings = format!("[capabilities.\"panics-in-handler.now\"]\n{settings}\n");
    Home::with(&["panics-in-handler"]).config(&settings)
}

async fn panic(running: &Running, times: usize) {
    for _ in 0..times {
        let answer = running.call("panics-in-handler.now", json!(13)).await;
        answer.expect_err("13 is unlucky");
    }
}

fn service(running: &Running, name: &str) -> ServiceStatus {
    running.kernel.service(name).expect("it is known")
}

#[test]
fn the_first_of_an_order_that_can() {
    run(async {
        let settings = "[capabilities.\"shared.who\"]\nrouting = \"failover\"\n\
                        order = [\"provider\", \"produces\"]\n";
        let running = twins(settings).start().await;
        let routing = "calls go to the first of `provider`, `produces` that can take them: its routing is `failover`, as the configuration says in `[capabilities.\"shared.who\"]`";
        let (provider, produces) = (serving("provider"), serving("produces"));
        check(
            &running,
            "shared.who",
            "calls/routing calls/gets-calls calls/in-reserve calls/limit calls/breaker",
            &format!(
                "\
the capability `shared.who` is offered by 2 plugins
  {routing}
  `provider` gets the calls: it is the first that can take them
{provider}
  `produces` gets the calls that nobody before it takes
{produces}
  {USUAL_DEADLINE}
  a provider gets no calls for 5s once 50 % of at least 10 within 10s fail, as is usual"
            ),
        );
        let who = running.call("shared.who", json!(null)).await;
        assert_eq!(who, Ok(json!("provider")));
        let stopped = running.kernel.stop_plugin("provider").await;
        stopped.expect("it stops");
        check(
            &running,
            "shared.who",
            "calls/not-offering",
            &format!(
                "\
the capability `shared.who` is offered by 2 plugins
  {routing}
  `provider` gets no calls: it is not started
    `provider` 0.1.0 is stopped
      a request asked for it to be stopped
        hint: `octa start provider` starts it
  `produces` gets every call: nobody else offers this now
{produces}
  {USUAL_DEADLINE}"
            ),
        );
        let who = running.call("shared.who", json!(null)).await;
        assert_eq!(who, Ok(json!("produces")));
        running.end().await;
    });
}

#[test]
fn one_whose_calls_fail_is_cut_off_and_tried_again() {
    run(async {
        let running = panicking("breaker = { calls = 2, open = \"1h\" }")
            .start()
            .await;
        let provider = serving("panics-in-handler");
        let rules = format!(
            "{USUAL_DEADLINE}
  a provider gets no calls for 3600s once 50 % of at least 2 within 10s fail, as the configuration says in `[capabilities.\"panics-in-handler.now\"]`"
        );
        let name = "panics-in-handler.now";
        panic(&running, 1).await;
        check(
            &running,
            name,
            "calls/failing calls/last-error",
            &format!(
                "\
the capability `panics-in-handler.now` is offered by one plugin
  `panics-in-handler` gets every call: nobody else offers this now
    1 failure in 1 call that ended lately
      the last one that failed: panicked: number 13 is unlucky
{provider}
  {rules}"
            ),
        );
        panic(&running, 1).await;
        check(
            &running,
            name,
            "calls/cut-off calls/last-error calls/next-try",
            &format!(
                "\
the capability `panics-in-handler.now` is offered by one plugin
  `panics-in-handler` gets no calls: its breaker opened over 2 failures in 2 calls
    the last one that failed: panicked: number 13 is unlucky
    a call is let in again, to see how it does
{provider}
  {rules}"
            ),
        );
        let refused = running.call(name, json!(1)).await;
        let expect = "unavailable: the provider of `panics-in-handler.now` is cut off";
        assert!(refused.is_err_and(|error| error.starts_with(expect)));
        running.end().await;
        let running = panicking("breaker = { calls = 1, open = \"1ms\" }")
            .start()
            .await;
        panic(&running, 1).await;
        let is_on_trial = || {
            let service = service(&running, name);
            let breaker = service.providers[0].breaker.as_ref();
            breaker.is_some_and(|it| it.state == BreakerState::HalfOpen)
        };
        until(is_on_trial).await;
        check(
            &running,
            name,
            "calls/on-trial",
            &format!(
                "\
the capability `panics-in-handler.now` is offered by one plugin
  `panics-in-handler` gets single calls, to see how it does now: its breaker had opened over 1 failure in 1 call
    the last one that failed: panicked: number 13 is unlucky
{provider}
  {USUAL_DEADLINE}
  a provider gets no calls for 1ms once 50 % of at least 1 within 10s fail, as the configuration says in `[capabilities.\"panics-in-handler.now\"]`"
            ),
        );
        running.end().await;
    });
}

#[test]
fn one_with_its_hands_full() {
    run(async {
        let settings = "[capabilities.\"never-answers.wait\"]\nconcurrency = 1\nqueue = 7\n";
        let running = Home::with(&["never-answers"])
            .config(settings)
            .start()
            .await;
        let mut begun = running.subscribe("never-answers.begun").await;
        let mut given_up = running.subscribe("never-answers.given_up").await;
        let call = running.call_aside("never-answers.wait", json!(null));
        next(&mut begun).await;
        let provider = serving("never-answers");
        check(
            &running,
            "never-answers.wait",
            "calls/full calls/limit",
            &format!(
                "\
the capability `never-answers.wait` is offered by one plugin
  `never-answers` has a call under way, as many as it may; 0 of 7 wait for a place
{provider}
  {USUAL_DEADLINE}
  a provider has at most one call under way; 7 more wait for a place, each for up to 1s, as the configuration says in `[capabilities.\"never-answers.wait\"]`"
            ),
        );
        call.abort();
        next(&mut given_up).await;
        running.end().await;
    });
}

#[test]
fn one_that_says_that_it_can_do_nothing() {
    run(async {
        let home = Home::with(&[]);
        home.put("counter", &read(&fixtures::library("reload-unwell")));
        let running = home.start().await;
        until(|| running.plugin("counter").health == Some(0.0)).await;
        let why = running.kernel.why("counter.get").expect("it is offered");
        // calls/unfit
        let text = why.to_string();
        let lines: Vec<&str> = text.lines().take(2).collect();
        assert_eq!(
            lines,
            [
                "the capability `counter.get` is offered by one plugin",
                "  `counter` gets every call although it says that its health is 0.00 of 1: nobody else offers this now",
            ]
        );
        running.end().await;
    });
}

#[test]
fn what_is_tried_again_checked_and_answered_by_others() {
    run(async {
        let settings = "retry = true\ncheck = true\nremember = { results = 9, time = \"1m\" }\n\
                        rate = { calls = 100, burst = 20 }\nfallback = \"neighbour.echo\"\n\
                        breaker = { calls = 1, open = \"1h\" }";
        let running = panicking(settings).start().await;
        panic(&running, 1).await;
        let echoed = running.call("panics-in-handler.now", json!(5)).await;
        assert_eq!(echoed, Ok(json!(5)), "the fallback answers");
        let provider = serving("panics-in-handler");
        let said = "as the configuration says in `[capabilities.\"panics-in-handler.now\"]`";
        check(
            &running,
            "panics-in-handler.now",
            "calls/retry calls/kept calls/fallback calls/cut-off",
            &format!(
                "\
the capability `panics-in-handler.now` is offered by one plugin
  `panics-in-handler` gets no calls: its breaker opened over 1 failure in 1 call
    the last one that failed: panicked: number 13 is unlucky
    a call is let in again, to see how it does
{provider}
  {USUAL_DEADLINE}
  a provider gets no calls for 3600s once 50 % of at least 1 within 10s fail, {said}
  a call that fails and has an idempotency key is tried up to 3 times, 50ms to 1s apart, as long as there are no more retries than 20 % of the calls, {said}
  a caller may call 100 times in 1s, and 20 times at once, {said}
  input and output are checked against the declared schemas, {said}
  results of calls with an idempotency key are remembered for 60s, 9 at most and 0 now, {said}
  `neighbour.echo` answers when no provider takes a call, or when one breaks down over a call that may be repeated, {said}; needed once so far
    the capability `neighbour.echo` is offered by one plugin
      `neighbour` gets every call: nobody else offers this now
        `neighbour` 0.1.0 is started
          generation 1, version 0.1.0 with content …, serves in the kernel's process"
            ),
        );
        let stopped = running.kernel.stop_plugin("panics-in-handler").await;
        stopped.expect("it stops");
        let why = running.kernel.why("panics-in-handler.now");
        let why = why.expect("it is known").to_string();
        for told in [
            "`panics-in-handler` gets no calls: it is not started",
            "a caller may call 100 times in 1s",
            "`neighbour.echo` answers when no provider takes a call",
        ] {
            assert!(why.contains(told), "also while nobody offers it: {why}");
        }
        let echoed = running.call("panics-in-handler.now", json!(6)).await;
        assert_eq!(echoed, Ok(json!(6)));
        running.end().await;
    });
}

#[test]
fn the_steps_of_a_pipeline() {
    run(async {
        let pipelines = "[pipelines]\n\"shared.who\" = [\"neighbour.echo\", \"relay.forwart\"]\n";
        let home = Home::with(&["provider", "relay"]);
        let allow = "[plugins.provider]\nallow.provide = [\"shared.**\"]\n\
                     [plugins.relay]\nallow.call = [\"**\"]\n";
        let running = home.config(&format!("{allow}{pipelines}")).start().await;
        check(
            &running,
            "shared.who",
            "calls/step calls/overruled",
            &format!(
                "\
the capability `shared.who` is a pipeline of 2 steps, each with what the one before answered
  step 1 of 2 is `neighbour.echo`
    the capability `neighbour.echo` is offered by one plugin
      `neighbour` gets every call: nobody else offers this now
        `neighbour` 0.1.0 is started
          generation 1, version 0.1.0 with content …, serves in the kernel's process
  step 2 of 2 is `relay.forwart`
    the capability `relay.forwart` is offered by no plugin
      hint: did you mean `relay.forward`?
  `provider` gets no calls: the pipeline answers in its place
    hint: rename `shared.who` under `[pipelines]`
  {USUAL_DEADLINE}"
            ),
        );
        let stopped = running.call("shared.who", json!(1)).await;
        let expect = "unknown-capability: step 2 of 2 of `shared.who`, `relay.forwart`";
        assert!(stopped.is_err_and(|error| error.starts_with(expect)));
        running.end().await;
    });
}
