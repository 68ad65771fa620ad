//! The events that an instance waits for: none is kept here while its tasks stand still, since it
//! would not be there for the next generation.

use std::{
    collections::HashMap,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use octa_loader::{Outcome, operation};
use octa_wire::{NO_DEADLINE, ToKernel};
use parking_lot::Mutex;

use crate::{
    seat::{Operation, Seat},
    tasks::Tasks,
};

/// The waits of one instance, by number.
#[derive(Default)]
pub(crate) struct Listening {
    ears: Mutex<HashMap<u64, Arc<Mutex<Ear>>>>,
}

/// What a wait has come to while nobody polls it.
#[derive(Default)]
struct Ear {
    asked: Option<Operation>,
    /// It asks for nothing until the tasks go on.
    stands_still: bool,
    /// Who goes on then.
    waker: Option<Waker>,
}

/// Waits for the next event of a subscription.
pub(crate) struct NextEvent {
    seat: Arc<Seat>,
    subscription: u64,
    number: u64,
    ear: Arc<Mutex<Ear>>,
}

impl Listening {
    /// Asks for no more, and lets the kernel have back what is here, if the tasks are to stand
    /// still. For when none is under way; what is asked for after that is asked for.
    pub(crate) fn stand_still(&self, tasks: &Tasks) {
        let ears = self.ears.lock();
        // Under the lock: who lets the tasks go on comes here after that.
        if !tasks.is_frozen() {
            return;
        }
        let stop = |ear: &Arc<Mutex<Ear>>| {
            let mut ear = ear.lock();
            ear.stands_still = true;
            let asked = ear.asked.take()?;
            ear.waker = asked.take_waker();
            Some(asked)
        };
        let asked: Vec<_> = ears.values().filter_map(stop).collect();
        drop(ears);
        drop(asked);
    }

    /// Asks again.
    pub(crate) fn go_on(&self) {
        let ears: Vec<_> = self.ears.lock().values().cloned().collect();
        for ear in ears {
            let mut ear = ear.lock();
            ear.stands_still = false;
            let waker = ear.waker.take();
            drop(ear);
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

impl NextEvent {
    pub(crate) fn new(seat: &Arc<Seat>, subscription: u64) -> Self {
        let (number, ear) = (seat.next(), Arc::<Mutex<Ear>>::default());
        seat.listening.ears.lock().insert(number, ear.clone());
        Self {
            seat: seat.clone(),
            subscription,
            number,
            ear,
        }
    }

    fn ask(&self) -> Result<Operation, octa_plugin_api::Error> {
        self.seat.ask(|number| ToKernel::Submit {
            instance: self.seat.number,
            number,
            operation: operation::NEXT_EVENT,
            flags: 0,
            argument: self.subscription,
            target: "",
            key: "",
            envelope: octa_wire::Envelope {
                remaining_nanos: NO_DEADLINE,
                ..octa_wire::Envelope::default()
            },
            payload: &[],
        })
    }

    /// Keeps what was asked, or the waker alone if it is to stand still meanwhile.
    fn keep(&self, asked: Option<Operation>, waker: &Waker) {
        let mut ear = self.ear.lock();
        if !ear.stands_still {
            ear.asked = asked;
            return;
        }
        let before = ear.waker.replace(waker.clone());
        drop(ear);
        // Not under the lock: it may be code of the plugin's.
        drop((asked, before));
    }
}

impl Future for NextEvent {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let (asked, stands_still) = {
            let mut ear = self.ear.lock();
            (mem::take(&mut ear.asked), ear.stands_still)
        };
        if stands_still {
            self.keep(asked, cx.waker());
            return Poll::Pending;
        }
        let mut asked = match asked.map_or_else(|| self.ask(), Ok) {
            Ok(asked) => asked,
            Err(error) => return Poll::Ready(error.into()),
        };
        let polled = Pin::new(&mut asked).poll(cx);
        if polled.is_pending() {
            self.keep(Some(asked), cx.waker());
        }
        polled
    }
}

impl Drop for NextEvent {
    fn drop(&mut self) {
        let ear = self.seat.listening.ears.lock().remove(&self.number);
        drop(ear);
        let asked = self.ear.lock().asked.take();
        drop(asked);
    }
}
