//! The plugin that the benchmark reloads: says which build it is.

use octa_plugin_api::{Payload, tentacle};

#[derive(Default)]
struct Marker;

/// Says which build it is.
#[tentacle(name = "marker")]
impl Marker {
    /// The number of this build, as eight bytes, least first.
    #[capability("marker.number")]
    fn number(&self) -> Payload {
        Payload::copy_from_slice(&octa_bench_build::number().to_le_bytes())
    }
}
