//! What is left of an instance that gives nothing back.

use octa_plugin_api::{Context as Ctx, Result, Tentacle, tentacle};

use super::*;

/// A plugin that never unsubscribes.
struct Lamp;

#[tentacle(name = "lamp", publishes = "lamp.**")]
impl Tentacle for Lamp {
    type Config = ();

    fn create((): ()) -> Result<Self> {
        Ok(Self)
    }

    async fn start(&self, ctx: &Ctx) -> Result<()> {
        std::mem::forget(ctx.subscribe("lamp.on").await?);
        std::mem::forget(ctx.subscribe("lamp.**").await?);
        Ok(())
    }

    /// What `start` subscribes to has to be declared.
    #[subscribe("lamp.**")]
    fn hear(&self) {}
}

#[test]
fn who_never_unsubscribes_leaves_nothing_behind() {
    let bench = Bench::new();
    let (instance, facilities) = bench.start::<Lamp>();
    assert_eq!(facilities.holdings().subscriptions, 2);
    assert_eq!(bench.commons.bus.subscriptions().len(), 2);
    instance.close();
    facilities.close();
    assert!(instance.destroy());
    assert_eq!(facilities.holdings(), Holdings::default());
    assert!(bench.commons.bus.subscriptions().is_empty());
}

#[test]
fn who_was_closed_may_start_again_and_who_has_ended_may_not() {
    let bench = Bench::new();
    let lamp = bench.serving();
    subscribe(&lamp, "lamp.on").expect("a number");
    lamp.close();
    assert_eq!(subscribe(&lamp, "lamp.on"), Ok(2), "never the same number");
    lamp.end();
    let gone = "plugin-gone: plugin `lamp` is gone".to_owned();
    assert_eq!(subscribe(&lamp, "lamp.on"), Err(gone));
    assert_eq!(lamp.holdings(), Holdings::default());
    assert!(bench.commons.bus.subscriptions().is_empty());
}
