//! Names and patterns that are none.

use octa_plugin_api::tentacle;

#[derive(Default)]
struct Lamps;

#[tentacle(name = "lamps", publishes = "lamps.**.on")]
impl Lamps {
    #[capability("lamps.*")]
    fn on(&self) {}

    #[capability("lamps..off")]
    fn off(&self) {}

    #[capability("lamps.turn on")]
    fn turn(&self) {}

    #[capability("lamps.slow", deadline = "5 seconds")]
    fn slow(&self) {}

    #[subscribe]
    fn changed(&self) {}
}

#[derive(Default)]
struct Cameras;

#[tentacle(name = "Cameras")]
impl Cameras {}

fn main() {}
