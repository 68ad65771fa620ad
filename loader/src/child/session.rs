//! The kernel's end of the connection to a worker: what was asked, who asks, and what comes in.
//!
//! Whoever waits for an answer may read what has come; else the thread of the process does.

use std::{
    cell::RefCell,
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use octa_plugin_api::{Error, ErrorKind};
use octa_wire::{Confinement, DecodeError, FRAME_BYTES_MAX, ToKernel, ToWorker};
use parking_lot::Mutex;

use super::{
    exit::Exit,
    pending::{Asked, Pending, Raw},
    seat::Seat,
};
use crate::link::{Link, LinkError, Receiving};

/// How long a caller looks for the answer itself before it goes to sleep: a little longer than it
/// takes to wake a thread on another processor.
const LOOK: Duration = Duration::from_micros(100);
/// After so many answers in a row that took longer, callers look only now and then, until one is
/// quick again.
const MISSES: u32 = 4;
/// How rarely: every so many calls.
const SELDOM: u32 = 16;
/// Beyond this, a buffer for messages is not kept.
const KEPT_BYTES: usize = 1 << 20;

/// A connection to a worker.
pub(super) struct Session {
    link: Link,
    name: Arc<str>,
    next: AtomicU64,
    /// Asked under a number; `None` after the end.
    waiting: Mutex<Option<HashMap<u64, Arc<Pending>>>>,
    /// Instances there are; `None` after the end.
    seats: Mutex<Option<HashMap<u32, Arc<Seat>>>>,
    instances: AtomicU32,
    /// How many answers came in.
    answers: AtomicU64,
    misses: AtomicU32,
    exit: OnceLock<Exit>,
    pub(super) confinement: OnceLock<Confinement>,
    is_dismissed: AtomicBool,
    /// Why the kernel killed it, if it did.
    killed: Mutex<Option<String>>,
}

/// Why a message did not go out.
enum Unsent {
    /// The connection has ended.
    Gone,
    /// It cannot be taken; others can.
    Refused(Error),
}

/// What a worker says is not to be understood, or not to be believed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Garbage {
    #[error(transparent)]
    Message(#[from] DecodeError),
    #[error("it speaks of instance {0}, which it does not have")]
    Instance(u32),
    #[error("it introduced itself twice")]
    Twice,
    #[error("it uses the number {0} for two things")]
    Number(u64),
    #[error("the host panicked over it; its log says where")]
    Host,
    #[error(transparent)]
    Link(#[from] LinkError),
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Session {
    pub(super) fn new(link: Link, name: Arc<str>) -> Arc<Self> {
        Arc::new(Self {
            link,
            name,
            next: AtomicU64::new(1),
            waiting: Mutex::new(Some(HashMap::new())),
            seats: Mutex::new(Some(HashMap::new())),
            instances: AtomicU32::new(1),
            answers: AtomicU64::new(0),
            misses: AtomicU32::new(0),
            exit: OnceLock::new(),
            confinement: OnceLock::new(),
            is_dismissed: AtomicBool::new(false),
            killed: Mutex::new(None),
        })
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn exit(&self) -> Option<&Exit> {
        self.exit.get()
    }

    pub(super) fn next_instance(&self) -> u32 {
        self.instances.fetch_add(1, Ordering::Relaxed)
    }

    /// How many answers have come in so far.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    fn heard(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    /// How long the longest has been going on that should have ended.
    pub(super) fn overdue(&self) -> Option<Duration> {
        let waiting = self.waiting.lock();
        waiting
            .as_ref()?
            .values()
            .filter_map(|it| it.overdue())
            .max()
    }

    /// Whether it owes an answer.
    pub(super) fn owes(&self) -> bool {
        self.waiting
            .lock()
            .as_ref()
            .is_some_and(|it| !it.is_empty())
    }

    /// Notes why the kernel kills it; the first reason counts.
    pub(super) fn condemn(&self, why: &str) {
        self.killed.lock().get_or_insert_with(|| why.to_owned());
    }

    pub(super) fn condemned(&self) -> Option<String> {
        self.killed.lock().clone()
    }

    /// Asks it to end.
    pub(super) fn dismiss(&self) {
        self.is_dismissed.store(true, Ordering::SeqCst);
        self.tell(&ToWorker::Goodbye);
    }

    /// Whether it was asked to end.
    pub(super) fn was_dismissed(&self) -> bool {
        self.is_dismissed.load(Ordering::SeqCst)
    }

    /// Says something that is not answered. A worker that is gone, or is too slow to read, hears
    /// it no more; its end is told elsewhere.
    pub(super) fn tell(&self, message: &ToWorker<'_>) {
        if let Err(Unsent::Refused(error)) = self.send(message) {
            // It would wait for this for ever.
            self.condemn(error.message());
            self.link.close();
        }
    }

    /// The same for what may be too large for it: then something else can be said instead.
    pub(super) fn try_tell(&self, message: &ToWorker<'_>) -> Result<(), Error> {
        match self.send(message) {
            Err(Unsent::Refused(error)) => Err(error),
            // It hears nothing any more.
            Ok(()) | Err(Unsent::Gone) => Ok(()),
        }
    }

    fn send(&self, message: &ToWorker<'_>) -> Result<(), Unsent> {
        let send = |buffer: &mut Vec<u8>| {
            buffer.clear();
            message.encode(buffer);
            let sent = if buffer.len() > FRAME_BYTES_MAX {
                Err(Unsent::Refused(self.too_large(buffer.len())))
            } else {
                self.link.send(buffer).map_err(|error| self.unsent(&error))
            };
            if buffer.capacity() > KEPT_BYTES {
                *buffer = Vec::new();
            }
            sent
        };
        let sent = BUFFER.try_with(|buffer| send(&mut buffer.borrow_mut()));
        // On a thread that is ending.
        sent.unwrap_or_else(|_| send(&mut Vec::new()))
    }

    /// Asks something; `message` is given its number.
    pub(super) fn ask<'a>(
        self: &Arc<Self>,
        message: impl FnOnce(u64) -> ToWorker<'a>,
    ) -> Arc<Pending> {
        self.ask_noting(message, |_| ())
    }

    /// The same for a delivery, whose handled events are counted there until it is answered or
    /// abandoned.
    pub(super) fn ask_counting<'a>(
        self: &Arc<Self>,
        message: impl FnOnce(u64) -> ToWorker<'a>,
        handled: *const AtomicUsize,
    ) -> Arc<Pending> {
        self.ask_noting(message, |pending| pending.count_in(handled))
    }

    fn ask_noting<'a>(
        self: &Arc<Self>,
        message: impl FnOnce(u64) -> ToWorker<'a>,
        note: impl FnOnce(&Pending),
    ) -> Arc<Pending> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let pending = Pending::new(self, Asked::Message(id));
        note(&pending);
        let entered = match &mut *self.waiting.lock() {
            Some(waiting) => waiting.insert(id, pending.clone()).is_none(),
            None => false,
        };
        if !entered {
            pending.answer(Raw::error(&self.not_there()));
        } else if let Err(unsent) = self.send(&message(id)) {
            match unsent {
                // Answered with all others, when it is known how the process ended.
                Unsent::Gone => pending.was_not_sent(),
                Unsent::Refused(error) => {
                    self.forget(id);
                    pending.answer(Raw::error(&error));
                }
            }
        }
        pending
    }

    /// Asks, and looks for the answer for a moment.
    pub(super) fn ask_quick<'a>(
        self: &Arc<Self>,
        message: impl FnOnce(u64) -> ToWorker<'a>,
    ) -> Result<Raw, Arc<Pending>> {
        let misses = self.misses.load(Ordering::Relaxed);
        if misses >= MISSES && !misses.is_multiple_of(SELDOM) {
            self.misses.store(misses + 1, Ordering::Relaxed);
            return Err(self.ask_and_time(message));
        }
        // Taken before it is asked: then the worker need not wake anybody to answer.
        let Some(mut receiving) = self.link.try_receive() else {
            return Err(self.ask(message));
        };
        let pending = self.ask(message);
        let found = self.look(&mut receiving, &pending);
        let misses = match found {
            Some(_) => 0,
            None => (misses + 1).min(MISSES),
        };
        self.misses.store(misses, Ordering::Relaxed);
        found.ok_or(pending)
    }

    /// Asks without looking for the answer, since that took too long lately; if it comes soon,
    /// the next ones are looked for again.
    fn ask_and_time<'a>(
        self: &Arc<Self>,
        message: impl FnOnce(u64) -> ToWorker<'a>,
    ) -> Arc<Pending> {
        let asked = Instant::now();
        self.ask_noting(message, |pending| pending.asked_at(asked))
    }

    /// An answer came so long after it was asked for.
    pub(super) fn took(&self, time: Duration) {
        if time < LOOK {
            self.misses.store(0, Ordering::Relaxed);
        }
    }

    fn look(self: &Arc<Self>, receiving: &mut Receiving<'_>, pending: &Pending) -> Option<Raw> {
        let until = Instant::now() + LOOK;
        loop {
            // Not longer than that, whatever else the worker says meanwhile.
            let is_late = || Instant::now() >= until;
            let drained = self.drain(receiving, || pending.has_answer() || is_late());
            if let Some(answer) = pending.try_take() {
                return Some(answer);
            }
            if let Err(garbage) = &drained {
                self.give_up(garbage);
            }
            let left = until.saturating_duration_since(Instant::now());
            if drained.is_err() || left.is_zero() || !receiving.spin(left) {
                return None;
            }
        }
    }

    /// Ends the connection to a worker that cannot be understood; the rest is done by the thread
    /// of its process.
    pub(super) fn give_up(&self, garbage: &Garbage) {
        if !matches!(garbage, Garbage::Link(LinkError::Closed)) {
            self.condemn(&format!("what it says makes no sense: {garbage}"));
            self.link.close();
        }
    }

    /// Handles what has come in, until there is no more or `enough` says so.
    pub(super) fn drain(
        self: &Arc<Self>,
        receiving: &mut Receiving<'_>,
        enough: impl Fn() -> bool,
    ) -> Result<(), Garbage> {
        while let Some(frame) = receiving.next()? {
            let message = ToKernel::decode(frame)?;
            // A panic would be the host's: it must not unwind into whoever happens to read.
            let handled = catch_unwind(AssertUnwindSafe(|| self.handle(message)));
            handled.map_err(|_| Garbage::Host)??;
            if enough() {
                break;
            }
        }
        Ok(())
    }

    fn handle(self: &Arc<Self>, message: ToKernel<'_>) -> Result<(), Garbage> {
        match message {
            ToKernel::Welcome(_) => return Err(Garbage::Twice),
            ToKernel::Pong { .. } => self.heard(),
            ToKernel::Answer { id, answer } => {
                self.heard();
                if let Some(pending) = self.forget(id) {
                    pending.answer(Raw::from(&answer));
                }
            }
            ToKernel::Handled { id } => {
                let pending = self
                    .waiting
                    .lock()
                    .as_ref()
                    .and_then(|it| it.get(&id).cloned());
                if pending.is_some_and(|it| it.handled()) {
                    self.tell(&ToWorker::Cut { id });
                }
            }
            ToKernel::Submit { instance, .. }
            | ToKernel::CancelOperation { instance, .. }
            | ToKernel::Spawned { instance, .. }
            | ToKernel::TaskEnded { instance, .. }
            | ToKernel::Log { instance, .. } => {
                if let Some(seat) = self.seat(instance)? {
                    seat.handle(message)?;
                }
            }
        }
        Ok(())
    }

    fn forget(&self, id: u64) -> Option<Arc<Pending>> {
        self.waiting.lock().as_mut()?.remove(&id)
    }

    /// Takes a place for an instance; refused after the end.
    pub(super) fn seat_down(&self, seat: Arc<Seat>) -> Result<(), Error> {
        match &mut *self.seats.lock() {
            Some(seats) => drop(seats.insert(seat.number(), seat)),
            None => return Err(self.not_there()),
        }
        Ok(())
    }

    /// An instance is gone.
    pub(super) fn seat_up(&self, instance: u32) {
        let seat = self
            .seats
            .lock()
            .as_mut()
            .and_then(|it| it.remove(&instance));
        drop(seat);
    }

    /// Whose number it is; nobody's if that is gone, whose threads may go on for a while.
    fn seat(&self, instance: u32) -> Result<Option<Arc<Seat>>, Garbage> {
        if instance >= self.instances.load(Ordering::Relaxed) {
            return Err(Garbage::Instance(instance));
        }
        let seats = self.seats.lock();
        Ok(seats
            .as_ref()
            .and_then(|seats| seats.get(&instance).cloned()))
    }

    /// Nothing comes or goes any more: who waits is answered.
    pub(super) fn end(&self, mut exit: Exit) -> &Exit {
        let waiting = self.waiting.lock().take().unwrap_or_default();
        let seats = self.seats.lock().take().unwrap_or_default();
        let calls = waiting.values().filter_map(|pending| pending.call());
        exit.calls = calls.collect();
        // Before anybody is answered.
        let exit = self.exit.get_or_init(|| exit);
        let error = self.cut_short();
        let too_late = self.not_there();
        for pending in waiting.into_values() {
            let was_sent = !pending.is_unsent();
            pending.answer(Raw::error(if was_sent { &error } else { &too_late }));
        }
        for seat in seats.into_values() {
            seat.end(&error);
        }
        exit
    }

    /// The error of what was under way when the process ended.
    fn cut_short(&self) -> Error {
        let message = format!(
            "the process of {} {} while it worked on this",
            self.whose(),
            self.ended()
        );
        Error::new(ErrorKind::Interrupted, message)
    }

    /// The error of what comes after the end.
    pub(super) fn not_there(&self) -> Error {
        let message = format!("the process of {} {}", self.whose(), self.ended());
        Error::new(ErrorKind::Unavailable, message)
    }

    fn whose(&self) -> String {
        format!("plugin `{}`", self.name)
    }

    fn ended(&self) -> String {
        let exit = self.exit.get().map(|exit| exit.cause.to_string());
        exit.unwrap_or_else(|| "is ending".to_owned())
    }

    fn unsent(&self, error: &LinkError) -> Unsent {
        match error {
            LinkError::Overrun { .. } => {
                let message = format!(
                    "the process of {} does not read what it is told",
                    self.whose()
                );
                Unsent::Refused(Error::new(ErrorKind::Overloaded, message))
            }
            LinkError::TooLong { bytes } => Unsent::Refused(self.too_large(*bytes)),
            _ => Unsent::Gone,
        }
    }

    fn too_large(&self, bytes: usize) -> Error {
        let message = format!(
            "a message of {bytes} bytes is more than the {FRAME_BYTES_MAX} bytes that go to the process of {}",
            self.whose()
        );
        Error::new(ErrorKind::TooLarge, message)
    }
}
