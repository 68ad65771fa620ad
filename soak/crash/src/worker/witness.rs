//! Knows how many events came over the bus and how many of them were told. The deletion of an event waits until it
//! was told: a kill in between would hide whether it ever came.

use std::sync::{Arc, OnceLock};

use octa_kernel::Kernel;
use tokio::sync::watch;

use crate::layout::TOPIC;

/// How many events came and were told.
#[derive(Debug)]
pub(super) struct Hearing {
    kernel: OnceLock<Kernel>,
    told: watch::Sender<u64>,
}

impl Hearing {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            kernel: OnceLock::new(),
            told: watch::Sender::new(0),
        })
    }

    /// From now on there is a subscription in this kernel.
    pub(super) fn begin(&self, kernel: &Kernel) {
        drop(self.kernel.set(kernel.clone()));
    }

    /// One more was told.
    pub(super) fn told(&self) {
        self.told.send_modify(|told| *told += 1);
    }

    /// How many came.
    fn came(&self) -> u64 {
        let subscriptions = self.kernel.get().map(Kernel::subscriptions);
        let all = subscriptions.into_iter().flatten();
        let ours = all.filter(|status| status.plugin == "host" && status.pattern == TOPIC);
        ours.map(|status| status.matched - status.dropped).sum()
    }

    /// Waits until everything was told that came before.
    pub(super) async fn all_told(&self) {
        let came = self.came();
        // Its sender is in `self`.
        drop(self.told.subscribe().wait_for(|told| *told >= came).await);
    }
}
