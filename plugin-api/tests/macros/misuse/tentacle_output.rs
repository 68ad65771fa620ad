//! An output that can neither be written nor described, and an input that cannot be read.

use octa_plugin_api::{Result, Schema, tentacle};

struct Lamp;

#[derive(Schema)]
struct Id {
    id: String,
}

#[derive(Default)]
struct Lamps;

#[tentacle(name = "lamps")]
impl Lamps {
    #[capability("lamps.on")]
    fn on(&self) -> Result<Lamp> {
        Ok(Lamp)
    }

    #[capability("lamps.off")]
    async fn off(&self, _id: Id) {}
}

fn main() {}
