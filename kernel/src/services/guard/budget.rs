//! How many retries a capability may have: a share of its calls. When to retry, and whether it is
//! safe, is decided elsewhere.

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// A retry, in the unit of the account: shares are exact to nine decimals.
const RETRY: u64 = 1_000_000_000;

/// So many retries are never too many, however few calls there were.
const MOST: u64 = 10 * RETRY;

/// The retries that a capability may still have: one number that each operation changes at once,
/// so that there is nothing to lock.
#[derive(Debug)]
pub(crate) struct Budget {
    share: u64,
    account: AtomicU64,
}

impl Budget {
    /// Of so many retries per call.
    pub(crate) fn new(share: f64) -> Self {
        Self {
            share: (share * RETRY as f64).round() as u64,
            account: AtomicU64::new(MOST),
        }
    }

    /// Takes note of a call; its retries are none.
    pub(crate) fn deposit(&self) {
        let more = |account: u64| (account < MOST).then(|| MOST.min(account + self.share));
        let _is_full = self.account.fetch_update(Relaxed, Relaxed, more).is_err();
    }

    /// Takes one retry, if one is left.
    pub(crate) fn withdraw(&self) -> bool {
        let less = |account: u64| account.checked_sub(RETRY);
        self.account.fetch_update(Relaxed, Relaxed, less).is_ok()
    }
}

#[cfg(test)]
mod tests;
