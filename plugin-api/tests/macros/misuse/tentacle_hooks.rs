//! Hooks where they would never be called, and traits that are not ours.

use octa_plugin_api::{Context, Result, tentacle};

#[derive(Default)]
struct Lamps;

#[tentacle(name = "lamps")]
impl Lamps {
    async fn start(&self, _ctx: &Context) -> Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Cameras;

#[tentacle(name = "cameras")]
impl Clone for Cameras {
    fn clone(&self) -> Self {
        Self
    }
}

fn main() {}
