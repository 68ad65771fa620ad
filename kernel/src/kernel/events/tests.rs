//! Events of a whole kernel: dead letters over a restart, retained topics, and what is counted.

use std::{path::Path, time::Duration};

use octa_loader::Overflow;
use octa_plugin_api::{Context, Result, export, tentacle};
use serde_json::json;

use super::*;
use crate::{Linked, lifecycle::State};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes even numbers only, unless `desk.mood` is good, and says what it took.
#[derive(Default)]
struct Desk;

#[tentacle(name = "desk", publishes = "desk.**", state = "desk")]
impl Desk {
    #[subscribe("desk.in", capacity = 7, overflow = "drop-newest")]
    async fn take(&self, ctx: &Context, number: u64) -> Result<()> {
        let mood = ctx.state().get::<bool>("mood").await?;
        if number % 2 == 1 && mood.is_none() {
            return Err(octa_plugin_api::Error::msg("odd"));
        }
        ctx.publish("desk.took", &number).await.map(drop)
    }

    /// Hears the same, and minds nothing.
    #[subscribe("desk.in")]
    async fn hear(&self, ctx: &Context, number: u64) -> Result<()> {
        ctx.publish("desk.heard", &number).await.map(drop)
    }

    #[capability("desk.keep")]
    async fn keep(&self, ctx: &Context, number: u64) -> Result<u64> {
        ctx.publish_retained("desk.kept", &number).await
    }

    #[capability("desk.clear")]
    async fn clear(&self, ctx: &Context) -> Result<bool> {
        ctx.clear_retained("desk.kept").await
    }
}

async fn start(data: &Path) -> Kernel {
    let plugin = Linked::new(&export::linked::<Desk>()).expect("a manifest");
    let kernel = Kernel::builder().data(data).plugin(plugin).build();
    let kernel = kernel.expect("a kernel");
    kernel.start().await.expect("it starts");
    assert_eq!(kernel.plugins()[0].state, State::Started);
    kernel
}

async fn next(events: &mut Subscription) -> serde_json::Value {
    let event = tokio::time::timeout(PATIENCE, events.recv()).await;
    let event = event
        .expect("what must come does not")
        .expect("the bus is open");
    serde_json::from_slice(&event.payload).expect("JSON")
}

async fn ids(kernel: &Kernel) -> Vec<u64> {
    kernel
        .dead_letters()
        .await
        .iter()
        .map(|letter| letter.id)
        .collect()
}

#[tokio::test]
async fn dead_letters_outlive_the_kernel_and_are_replayed_to_one_subscription() {
    let data = tempfile::tempdir().expect("a directory");
    let kernel = start(data.path()).await;
    let mut dead = kernel
        .subscribe("kernel.dead_letter")
        .await
        .expect("a pattern");
    let options = PublishOptions {
        correlation_id: 9,
        ..PublishOptions::default()
    };
    for number in [1, 3] {
        let number = Payload::json(&number).expect("JSON");
        let matched = kernel.publish_with("desk.in", &number, &options).await;
        assert_eq!(matched.expect("it is published"), 2);
        next(&mut dead).await;
    }
    kernel.stop().await;
    drop(kernel);

    let kernel = start(data.path()).await;
    assert_eq!(ids(&kernel).await, [1, 2]);
    let letter = kernel.dead_letter(2).await.expect("it is there");
    let (mut took, mut heard) = (
        kernel.subscribe("desk.took").await.expect("a pattern"),
        kernel.subscribe("desk.heard").await.expect("a pattern"),
    );
    let shown = serde_json::to_value(&*letter).expect("JSON");
    assert_eq!(
        (
            &shown["plugin"],
            &shown["cause"],
            &shown["event"]["payload"]
        ),
        (&json!("desk"), &json!("odd"), &json!(3))
    );
    assert_eq!(shown["event"]["correlation"], json!(format!("{:032x}", 9)));
    // It fails again: one letter, under another number.
    let mut dead = kernel
        .subscribe("kernel.dead_letter")
        .await
        .expect("a pattern");
    kernel.replay_dead_letter(2).await.expect("it is replayed");
    assert_eq!(next(&mut dead).await["letter"], 3);
    assert_eq!(ids(&kernel).await, [1, 3]);
    // It does not.
    kernel
        .state()
        .set("desk", "mood", b"true".as_slice())
        .expect("it is written");
    kernel.replay_dead_letter(3).await.expect("it is replayed");
    assert_eq!(next(&mut took).await, 3);
    kernel
        .publish("desk.in", &4)
        .await
        .expect("it is published");
    assert_eq!(
        (next(&mut took).await, next(&mut heard).await),
        (json!(4), json!(4))
    );
    assert_eq!(ids(&kernel).await, [1]);

    kernel.stop_plugin("desk").await.expect("it stops");
    let refused = kernel
        .replay_dead_letter(1)
        .await
        .expect_err("nobody listens");
    assert_eq!(
        refused.to_string(),
        "plugin `desk` does not listen to `desk.in` now"
    );
    assert_eq!(refused.0.hint(), Some("start `desk` first"));
    kernel.forget_dead_letter(1).await.expect("it is there");
    for refused in [
        kernel.forget_dead_letter(1).await.err(),
        kernel.replay_dead_letter(1).await.err(),
        kernel.dead_letter(1).await.err(),
    ] {
        let refused = refused.expect("it is gone");
        assert_eq!(refused.to_string(), "there is no dead letter 1");
        assert_eq!(refused.kind(), ErrorKind::NotFound);
    }
    kernel.stop().await;
    drop(kernel);
    let kernel = start(data.path()).await;
    assert_eq!(ids(&kernel).await, [0; 0]);
    kernel.stop().await;
}

#[tokio::test]
async fn retained_events_of_plugins_and_of_the_host() {
    let data = tempfile::tempdir().expect("a directory");
    let kernel = start(data.path()).await;
    let _: u64 = kernel.call("desk.keep", &1).await.expect("it is kept");
    kernel
        .publish_retained("host.kept", &2)
        .await
        .expect("it is kept");
    let mut late = kernel.subscribe("*.kept").await.expect("a pattern");
    assert_eq!(
        (next(&mut late).await, next(&mut late).await),
        (json!(1), json!(2))
    );
    let cleared: bool = kernel.call("desk.clear", &()).await.expect("it is cleared");
    assert!(cleared && kernel.clear_retained("host.kept").await.expect("a topic"));
    assert!(!kernel.clear_retained("host.kept").await.expect("a topic"));
    let mut late = kernel.subscribe("*.kept").await.expect("a pattern");
    assert!(late.try_recv().is_none());
    let invalid = kernel
        .clear_retained("host..kept")
        .await
        .expect_err("no topic");
    assert_eq!(invalid.kind(), ErrorKind::InvalidInput);
    kernel.stop().await;
}

#[tokio::test]
async fn all_subscriptions_are_seen() {
    let data = tempfile::tempdir().expect("a directory");
    let kernel = start(data.path()).await;
    let mut dead = kernel
        .subscribe("kernel.dead_letter")
        .await
        .expect("a pattern");
    let mut heard = kernel.subscribe("desk.heard").await.expect("a pattern");
    kernel
        .publish("desk.in", &1)
        .await
        .expect("it is published");
    next(&mut dead).await;
    next(&mut heard).await;
    let seen = kernel.subscriptions();
    let first = seen
        .iter()
        .find(|it| it.plugin == "desk")
        .expect("it listens");
    assert_eq!((&*first.pattern, first.declared), ("desk.in", true));
    assert_eq!((first.policy, first.capacity), (Overflow::DropNewest, 7));
    assert_eq!((first.matched, first.delivered, first.dead), (1, 1, 1));
    let hosts = seen.iter().filter(|it| it.plugin == "host" && !it.declared);
    assert_eq!(hosts.count(), 2);
    let status = &kernel.plugins()[0].subscriptions;
    assert_eq!(status.iter().map(|it| it.dead).sum::<u64>(), 1);
    kernel.stop().await;
    assert!(kernel.subscriptions().is_empty());
}
