//! The life of a plugin, step by step, and starts that go wrong.

use octa_kernel::{lifecycle::State, time::VirtualClock};

use crate::{
    home::{Home, NEIGHBOUR, Running, data, next, run, until},
    logs,
};

/// Checks the state and what a call answers.
async fn check(running: &Running, state: State, expect: Result<i32, &str>) {
    assert_eq!(running.state(NEIGHBOUR), state);
    let answer = running.call("neighbour.echo", 7.into()).await;
    assert_eq!(answer, expect.map(Into::into).map_err(str::to_owned));
}

#[test]
fn step_by_step() {
    run(async {
        let running = Home::with(&[]).build();
        let kernel = &running.kernel;
        let mut moves = running.subscribe("kernel.plugin.**").await;
        kernel.load_plugin(NEIGHBOUR).await.expect("it loads");
        let unknown = "unavailable: no plugin that offers `neighbour.echo` is started (hint: `octa why neighbour.echo` shows why)";
        check(&running, State::Loaded, Err(unknown)).await;
        kernel.start_plugin(NEIGHBOUR).await.expect("it starts");
        check(&running, State::Started, Ok(7)).await;
        kernel.stop_plugin(NEIGHBOUR).await.expect("it stops");
        let nobody = "unavailable: no plugin that offers `neighbour.echo` is started \
                      (hint: `octa why neighbour.echo` shows why)";
        check(&running, State::Stopped, Err(nobody)).await;
        kernel
            .start_plugin(NEIGHBOUR)
            .await
            .expect("it starts again");
        check(&running, State::Started, Ok(7)).await;
        kernel
            .unload_plugin(NEIGHBOUR)
            .await
            .expect("it is unloaded");
        check(&running, State::Unloaded, Err(nobody)).await;
        kernel.load_plugin(NEIGHBOUR).await.expect("it loads again");
        check(&running, State::Loaded, Err(nobody)).await;
        kernel
            .start_plugin(NEIGHBOUR)
            .await
            .expect("it starts once more");
        let mut told = Vec::new();
        while let Some(event) = moves.try_recv() {
            let data = data(&event);
            assert_eq!(
                (&data["plugin"], &data["version"]),
                (&NEIGHBOUR.into(), &"0.1.0".into())
            );
            assert_eq!(
                *event.topic,
                *format!("kernel.plugin.{}", data["to"].as_str().unwrap_or("?"))
            );
            told.push(format!("{} → {}", data["from"], data["to"]).replace('"', ""));
        }
        assert_eq!(
            told,
            [
                "discovered → loaded",
                "loaded → started",
                "started → stopped",
                "stopped → started",
                "started → stopped",
                "stopped → unloaded",
                "unloaded → loaded",
                "loaded → started",
            ]
        );
        running.end().await;
    });
}

#[test]
fn what_is_not_there_is_told_with_the_nearest_name() {
    run(async {
        let running = Home::with(&[]).start().await;
        let error = running
            .kernel
            .start_plugin("neighbor")
            .await
            .expect_err("there is none");
        assert_eq!(error.to_string(), "there is no plugin `neighbor`");
        assert_eq!(error.0.hint.as_deref(), Some("did you mean `neighbour`?"));
        running.end().await;
    });
}

#[test]
fn a_plugin_that_is_added_later_starts_on_request() {
    run(async {
        let running = Home::with(&[]).start().await;
        let library = crate::home::read(&crate::fixtures::library("desk"));
        running.home.put("desk", &library);
        running
            .kernel
            .start_plugin("desk")
            .await
            .expect("it is there now");
        running.check("desk", State::Started, &[]);
        running.end().await;
    });
}

#[test]
fn disabled_it_stays_discovered() {
    run(async {
        let home = Home::with(&["desk"]).config("[plugins.desk]\nenabled = false\n");
        let running = home.start().await;
        running.check("desk", State::Discovered, &[]);
        running.end().await;
    });
}

#[test]
fn a_start_that_fails_is_tried_again_on_request() {
    run(async {
        let config = "[plugins.fails-in-start.restart]\npolicy = \"never\"\n";
        let running = Home::with(&["fails-in-start"]).config(config).start().await;
        let expect = "failed: `start` of plugin `fails-in-start`: the cupboard is bare \
                      (hint: fill the cupboard)";
        running.check("fails-in-start", State::Failed, &[expect]);
        let mut moves = running.subscribe("kernel.plugin.**").await;
        let again = running
            .kernel
            .start_plugin("fails-in-start")
            .await
            .expect_err("it fails again");
        assert_eq!(
            again.to_string(),
            "`start` of plugin `fails-in-start`: the cupboard is bare"
        );
        assert_eq!(next(&mut moves).await["to"], "loaded");
        running.check("fails-in-start", State::Failed, &[expect]);
        running.end().await;
    });
}

/// Checks how a start that never returns fails, once the neighbour runs and the deadline passes,
/// and how many instances it keeps in memory when it is unloaded.
fn check_endless(fixture: &str, expect: &str, kept: usize) {
    run(async {
        let clock = VirtualClock::default();
        let config = format!(
            "[kernel]\nstart_deadline = \"3m\"\n[plugins.{fixture}.restart]\npolicy = \"never\"\n"
        );
        let home = Home::with(&[fixture]).config(&config);
        let kernel = home
            .builder()
            .clock(clock.clone())
            .build()
            .expect("a kernel");
        let running = Running { kernel, home };
        let mut begun = running.subscribe(&format!("{fixture}.begun")).await;
        let passing = async {
            next(&mut begun).await;
            // Only while everything comes to rest; the neighbour has by then.
            until(|| {
                running
                    .kernel
                    .plugins()
                    .iter()
                    .any(|p| p.state == State::Started)
            })
            .await;
            clock.advance(std::time::Duration::from_secs(180));
            // What is interrupted in vain has a deadline of its own.
            until(|| {
                clock.advance(std::time::Duration::from_millis(100));
                running.state(fixture) == State::Failed
            })
            .await;
        };
        let (started, ()) = tokio::join!(running.kernel.start(), passing);
        started.expect("the plugin directory is there");
        running.check(fixture, State::Failed, &[expect]);
        let unloaded = running.kernel.unload_plugin(fixture).await;
        unloaded.expect("it is unloaded");
        running.end().await;
        let told = format!("plugin `{fixture}` stays mapped");
        assert_eq!(logs::lines_with(&told).len(), kept);
    });
}

#[test]
fn a_start_that_waits_for_ever() {
    check_endless(
        "hangs-in-start",
        "deadline: `start` of plugin `hangs-in-start` did not return within 180s \
                (hint: raise the deadline in `[kernel]` of the configuration, or find what it waits \
                for)",
        0,
    );
}

#[test]
fn a_start_that_blocks_for_ever() {
    check_endless(
        "blocks-in-start",
        "deadline: `start` of plugin `blocks-in-start` did not return within 180s \
                (hint: raise the deadline in `[kernel]` of the configuration, or find what it waits \
                for)",
        1,
    );
}

#[test]
fn a_kernel_that_is_dropped_ends_hard() {
    run(async {
        for _ in 0..5 {
            let Running { kernel, home } = Home::with(&["desk"]).start().await;
            drop(kernel);
            drop(home);
        }
        // Whatever the others left behind had time to go wrong.
        Home::with(&[]).start().await.end().await;
    });
}
