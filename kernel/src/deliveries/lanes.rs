//! The lanes of one generation as one thing: begun, told to leave, waited for.

use std::{fmt, sync::Arc};

use tokio::sync::{OnceCell, watch};

use super::{
    Deliveries,
    lane::{Lane, Place},
    mailbox::Mailbox,
};
use crate::pool::Pool;

/// The handlers of one generation, reading its mailboxes. Dropping it tells them to leave.
///
/// Each mailbox is read by the lanes of one generation at a time, in the order in which they were
/// begun: those of the next may be begun while those before still have an event in hand.
pub(crate) struct Lanes {
    lanes: Vec<Arc<Lane>>,
    /// Changed to tell the lanes to leave.
    leaving: watch::Sender<bool>,
    /// Each lane has a receiver until it is gone.
    here: watch::Sender<()>,
}

impl Lanes {
    /// Begins to deliver, for each mailbox as many events at a time as was declared.
    pub(crate) fn begin(deliveries: Vec<(Mailbox, Deliveries)>, pool: &Pool) -> Self {
        let (here, _) = watch::channel(());
        let (leaving, told) = watch::channel(false);
        let mut lanes = Vec::new();
        for (mailbox, deliveries) in deliveries {
            let turn = Arc::new(OnceCell::new());
            for _ in 0..deliveries.declared.concurrency.max(1) {
                let place = Place {
                    taking: None,
                    _turn: turn.clone(),
                    _here: here.subscribe(),
                };
                let lane = Arc::new(Lane::new(mailbox.clone(), deliveries.clone(), place));
                pool.spawn(lane.clone().run(turn.clone(), told.clone()));
                lanes.push(lane);
            }
        }
        Self {
            lanes,
            leaving,
            here,
        }
    }

    /// Lets them begin no further event, and end after those in hand: those of a batch that were
    /// not begun go back to the front of their queue, in order.
    pub(crate) fn leave(&self) {
        self.leaving.send_replace(true);
        self.lanes.iter().for_each(|lane| lane.leave());
    }

    /// Ready when every one has ended or was cut off, and its mailboxes are free.
    pub(crate) async fn gone(&self) {
        self.here.closed().await;
    }

    /// Lets them leave, and takes their events from those whose handlers still run and cannot be
    /// ended, because they block. Such an event is interrupted: it is a dead letter, or is
    /// delivered again if that was declared. Their mailboxes are free for the next generation.
    ///
    /// For after [`Instance::interrupt`](octa_loader::Instance::interrupt), which ends all others. A
    /// handler that comes back after all has handled an event that was told as interrupted.
    pub(crate) fn cut_off(&self) {
        self.leave();
        self.lanes.iter().for_each(|lane| lane.cut_off());
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lanes({})", self.lanes.len())
    }
}
