//! How well a provider does, by its own opinion: asked now and then, read on the way of a call.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use octa_loader::Instance;

use crate::time::Clock;

/// How often a provider is asked.
const INTERVAL: Duration = Duration::from_secs(5);

/// The health of an instance, from 0.0 to 1.0.
#[derive(Debug)]
pub(crate) struct Health(AtomicU64);

impl Default for Health {
    fn default() -> Self {
        Self(AtomicU64::new(1.0_f64.to_bits()))
    }
}

impl Health {
    pub(crate) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    #[cfg(test)]
    pub(super) fn set(&self, health: f64) {
        self.0.store(health.to_bits(), Ordering::Relaxed);
    }

    /// Asks the instance for as long as it lets calls in.
    pub(crate) async fn follow(self: Arc<Self>, instance: Instance, clock: Arc<dyn Clock>) {
        while instance.is_open() {
            let health = instance.health().await.unwrap_or(0.0);
            self.0.store(health.to_bits(), Ordering::Relaxed);
            clock.sleep(INTERVAL).await;
        }
    }
}
