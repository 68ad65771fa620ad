//! A plugin of no one type.

use octa_plugin_api::tentacle;

#[derive(Default)]
struct Lamps<T>(T);

#[tentacle(name = "lamps")]
impl<T> Lamps<T> {
    #[capability("lamps.on")]
    fn on(&self) {}
}

fn main() {}
