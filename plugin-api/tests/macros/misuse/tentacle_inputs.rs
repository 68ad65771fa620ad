//! Handlers with inputs that no caller can give.

use octa_plugin_api::{Context, tentacle};

#[derive(Default)]
struct Lamps;

#[tentacle(name = "lamps")]
impl Lamps {
    #[capability("lamps.on")]
    fn on(&self, _ctx: &Context, _id: String, _brightness: u8) {}

    #[capability("lamps.off")]
    fn off(&self, _id: &str) {}

    #[capability("lamps.raw")]
    async fn raw(&self, _bytes: &[u8]) {}

    #[capability("lamps.blink")]
    fn blink<T>(&self, _times: T) {}

    #[capability("lamps.dim")]
    fn dim(&self, _ctx: Context) {}

    #[subscribe("lamps.**")]
    fn changed(&self) -> u8 {
        1
    }
}

fn main() {}
