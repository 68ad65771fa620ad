//! Settings that there are not, or not like this.

use octa_plugin_api::tentacle;

#[derive(Default)]
struct Lamps;

#[tentacle(name = "lamps", publish = "lamps.**")]
impl Lamps {
    #[capability("lamps.on", idempotant)]
    fn on(&self) {}

    #[capability("lamps.off", blocking = true)]
    fn off(&self) {}

    #[subscribe("lamps.**", overflow = "drop-latest")]
    fn changed(&self) {}

    #[subscribe("lamps.**", capacity = 0)]
    fn seen(&self) {}

    #[subscribe("lamps.**", retries = 1, retries = 2)]
    fn heard(&self) {}
}

#[derive(Default)]
struct Needy;

#[tentacle(name = "needy", needs(version = "^1"))]
impl Needy {}

#[derive(Default)]
struct Picky;

#[tentacle(name = "picky", needs(plugin = "lamps", version = "one"))]
impl Picky {}

fn main() {}
