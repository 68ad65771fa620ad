//! What a worker was asked and has not answered yet.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use octa_plugin_abi::{self as abi, code};
use octa_plugin_api::{Error, Payload};
use octa_wire::{Answer, ToWorker};
use parking_lot::Mutex;

use super::{exit::CallUnderWay, session::Session};

/// Something that is asked once and answered once.
pub(super) struct Pending {
    session: Arc<Session>,
    what: Asked,
    state: Mutex<State>,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A message that is answered under this number.
    Message(u64),
    /// A task of an instance, which begins when it is first polled.
    Task { instance: u32, task: u64 },
}

struct State {
    /// `None` while it waits.
    answer: Option<Raw>,
    waker: Option<Waker>,
    /// Nobody waits for it any more, since then.
    abandoned: Option<Instant>,
    /// Where the handled events of a delivery are counted, until it is abandoned or answered.
    handled: Option<Counter>,
    /// When it was asked, if that matters.
    asked: Option<Instant>,
    /// The worker never heard of it.
    is_unsent: bool,
    /// The call that it is.
    call: Option<CallUnderWay>,
    /// A task that runs.
    is_begun: bool,
}

/// Where the host counts; valid until the delivery is answered or dropped.
struct Counter(*const AtomicUsize);

// SAFETY: an atomic of the host, which any thread may use.
unsafe impl Send for Counter {}

/// An answer as it came, owned.
pub(super) struct Raw {
    code: u32,
    number: u64,
    payload: Payload,
    headers: Payload,
}

impl Raw {
    pub(super) fn error(error: &Error) -> Self {
        Self {
            code: error.kind().code(),
            number: 0,
            payload: error.to_document(),
            headers: Payload::empty(),
        }
    }

    /// Writes it where the host looks for it.
    pub(super) fn write(self, reply: &mut abi::Reply) {
        reply.code = self.code;
        reply.number = self.number;
        reply.payload = self.payload.into_abi();
        reply.headers = self.headers.into_abi();
    }

    /// The number and payload, or the error.
    pub(super) fn into_result(self) -> Result<(u64, Payload), Error> {
        match self.code {
            code::OK => Ok((self.number, self.payload)),
            code => Err(Error::from_document(code, &self.payload)),
        }
    }
}

impl From<&Answer<'_>> for Raw {
    fn from(answer: &Answer<'_>) -> Self {
        Self {
            code: answer.code,
            number: answer.number,
            payload: Payload::copy_from_slice(answer.payload),
            headers: Payload::copy_from_slice(answer.headers),
        }
    }
}

impl Pending {
    pub(super) fn new(session: &Arc<Session>, what: Asked) -> Arc<Self> {
        Arc::new(Self {
            session: session.clone(),
            what,
            state: Mutex::new(State {
                answer: None,
                waker: None,
                abandoned: None,
                handled: None,
                asked: None,
                is_unsent: false,
                call: None,
                is_begun: false,
            }),
        })
    }

    /// Counts handled events there.
    pub(super) fn count_in(&self, handled: *const AtomicUsize) {
        self.state.lock().handled = Some(Counter(handled));
    }

    /// Notes which call it is, for the case that it is never answered.
    pub(super) fn note(&self, caller: &str, capability: &str) {
        self.state.lock().call = Some(CallUnderWay {
            caller: caller.to_owned(),
            capability: capability.to_owned(),
        });
    }

    /// Which call it is.
    pub(super) fn call(&self) -> Option<CallUnderWay> {
        self.state.lock().call.clone()
    }

    /// The worker does not hear of it any more.
    pub(super) fn was_not_sent(&self) {
        self.state.lock().is_unsent = true;
    }

    pub(super) fn is_unsent(&self) -> bool {
        self.state.lock().is_unsent
    }

    /// How long the answer takes is told from this moment on.
    pub(super) fn asked_at(&self, moment: Instant) {
        self.state.lock().asked = Some(moment);
    }

    /// An event was handled. Answers whether no further one is to be begun.
    pub(super) fn handled(&self) -> bool {
        let state = self.state.lock();
        let Some(counter) = &state.handled else {
            return false;
        };
        // SAFETY: the host keeps the counter until the delivery is answered or dropped, and both
        // take it out under this lock.
        let counter = unsafe { &*counter.0 };
        counter.fetch_add(1, Ordering::SeqCst) & CUT != 0
    }

    /// The answer has come. Who waits is woken, with nothing locked.
    pub(super) fn answer(&self, answer: Raw) {
        let waker = {
            let mut state = self.state.lock();
            state.handled = None;
            state.answer.get_or_insert(answer);
            if let Some(asked) = state.asked.take() {
                self.session.took(asked.elapsed());
            }
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the answer, or waits for it.
    pub(super) fn poll_raw(&self, waker: impl FnOnce() -> Waker) -> Poll<Raw> {
        let mut state = self.state.lock();
        if let Some(answer) = state.answer.take() {
            return Poll::Ready(answer);
        }
        state.waker = Some(waker());
        let begins = !std::mem::replace(&mut state.is_begun, true);
        drop(state);
        if begins && let Asked::Task { instance, task } = self.what {
            self.session.tell(&ToWorker::StartTask { instance, task });
        }
        Poll::Pending
    }

    /// Whether the answer is there, to be taken.
    pub(super) fn has_answer(&self) -> bool {
        self.state.lock().answer.is_some()
    }

    /// Takes the answer if it is there.
    pub(super) fn try_take(&self) -> Option<Raw> {
        self.state.lock().answer.take()
    }

    /// Nobody waits for it any more: ends it in the worker.
    pub(super) fn abandon(&self) {
        let waker = {
            let mut state = self.state.lock();
            state.handled = None;
            if state.answer.is_some() {
                return;
            }
            state.abandoned = Some(Instant::now());
            state.waker.take()
        };
        drop(waker);
        self.session.tell(&match self.what {
            Asked::Message(id) => ToWorker::Cancel { id },
            Asked::Task { instance, task } => ToWorker::CancelTask { instance, task },
        });
    }

    /// Since when the worker should have ended it.
    pub(super) fn overdue(&self) -> Option<Duration> {
        self.state.lock().abandoned.map(|since| since.elapsed())
    }

    /// Waits on this thread, no longer than `limit`.
    pub(super) fn wait(self: &Arc<Self>, limit: Duration) -> Option<Raw> {
        let until = Instant::now() + limit;
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            if let Poll::Ready(answer) = self.poll_raw(|| waker.clone()) {
                return Some(answer);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.abandon();
                return self.try_take();
            }
            thread::park_timeout(left);
        }
    }
}

/// The bit by which the host says that no further event is to be begun.
const CUT: usize = 1 << (usize::BITS - 1);

struct Unpark(thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
