//! One capability offered twice.

use octa_plugin_api::tentacle;

#[derive(Default)]
struct Lamps;

#[tentacle(name = "lamps")]
impl Lamps {
    #[capability("lamps.on")]
    fn on(&self) {}

    #[capability("lamps.on")]
    fn also_on(&self) {}
}

fn main() {}
