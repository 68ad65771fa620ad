//! Objects that nobody knows how to make.

use octa_plugin_api::{Tentacle, tentacle};

struct Lamps(String);

#[tentacle(name = "lamps")]
impl Lamps {}

#[derive(Default)]
struct Cameras;

#[tentacle(name = "cameras")]
impl Tentacle for Cameras {
    type Config = u32;
}

fn main() {}
