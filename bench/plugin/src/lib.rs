//! The plugin that the benchmark calls and publishes to: handlers that do next to nothing, so
//! that what is around them shows.

use std::sync::atomic::{AtomicU64, Ordering};

use octa_bench_messages::{Advice, Reading};
use octa_plugin_api::{Payload, tentacle};

#[derive(Default)]
struct Bench {
    handled: AtomicU64,
}

/// Answers the benchmark.
#[tentacle(name = "bench")]
impl Bench {
    /// Copies the bytes.
    #[capability("bench.echo")]
    fn echo(&self, bytes: &[u8]) -> Payload {
        Payload::copy_from_slice(bytes)
    }

    /// Copies the bytes, in a future.
    #[capability("bench.echo_async")]
    async fn echo_async(&self, bytes: Payload) -> Payload {
        Payload::copy_from_slice(&bytes)
    }

    /// Advises on a reading.
    #[capability("bench.advise")]
    fn advise(&self, reading: Reading) -> Advice {
        reading.advise()
    }

    /// How many events were handled, as eight bytes, least first.
    #[capability("bench.handled")]
    fn handled(&self) -> Payload {
        Payload::copy_from_slice(&self.handled.load(Ordering::Acquire).to_le_bytes())
    }

    fn count(&self) {
        self.handled.fetch_add(1, Ordering::Release);
    }

    #[subscribe("bench.event")]
    fn first(&self, _event: Payload) {
        self.count();
    }

    #[subscribe("bench.event")]
    fn second(&self, _event: Payload) {
        self.count();
    }

    #[subscribe("bench.event")]
    fn third(&self, _event: Payload) {
        self.count();
    }

    #[subscribe("bench.event")]
    fn fourth(&self, _event: Payload) {
        self.count();
    }

    #[subscribe("bench.event")]
    fn fifth(&self, _event: Payload) {
        self.count();
    }

    #[subscribe("bench.event")]
    fn sixth(&self, _event: Payload) {
        self.count();
    }

    #[subscribe("bench.event")]
    fn seventh(&self, _event: Payload) {
        self.count();
    }

    #[subscribe("bench.event")]
    fn eighth(&self, _event: Payload) {
        self.count();
    }
}
