//! One capability offered twice, and one method for two things.

use octa_plugin_api::tentacle;

#[derive(Default)]
struct Lamps;

#[tentacle(name = "lamps")]
impl Lamps {
    #[capability("lamps.on")]
    fn on(&self) {}

    #[capability("lamps.on")]
    fn also_on(&self) {}

    #[capability("lamps.off")]
    #[subscribe("night")]
    fn off(&self) {}
}

fn main() {}
