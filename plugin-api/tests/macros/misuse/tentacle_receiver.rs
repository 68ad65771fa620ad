//! Handlers that want the object for themselves, or not at all.

use octa_plugin_api::tentacle;

#[derive(Default)]
struct Lamps;

#[tentacle(name = "lamps")]
impl Lamps {
    #[capability("lamps.on")]
    fn on(&mut self) {}

    #[capability("lamps.off")]
    fn off(self) {}

    #[subscribe("lamps.**")]
    fn changed() {}
}

fn main() {}
