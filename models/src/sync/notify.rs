//! What tells all who wait, and looks like that of `tokio`.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{AtomicUsize, Mutex, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Notify {
    times: AtomicUsize,
    waiters: Mutex<Vec<Waker>>,
}

/// Ready once all were told after it was made.
#[derive(Debug)]
pub(crate) struct OwnedNotified {
    notify: Arc<Notify>,
    times: usize,
}

impl Notify {
    pub(crate) fn notify_waiters(&self) {
        let mut waiters = self.waiters.lock();
        self.times.fetch_add(1, Ordering::SeqCst);
        let waiters = std::mem::take(&mut *waiters);
        waiters.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn notified_owned(self: Arc<Self>) -> OwnedNotified {
        let times = self.times.load(Ordering::SeqCst);
        OwnedNotified {
            notify: self,
            times,
        }
    }
}

impl Future for OwnedNotified {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiters = self.notify.waiters.lock();
        if self.notify.times.load(Ordering::SeqCst) != self.times {
            return Poll::Ready(());
        }
        waiters.push(cx.waker().clone());
        Poll::Pending
    }
}
