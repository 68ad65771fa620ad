//! One instance in a worker, as its host sees it: what it asks of the host, and its tasks.

mod ears;

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use octa_plugin_abi::operation;
use octa_plugin_api::{Error, ErrorKind, Payload};
use octa_wire::{Answer, NO_DEADLINE, ToKernel, ToWorker};
use parking_lot::Mutex;

use self::ears::Ears;
use super::{
    pending::{Asked, Pending, Raw},
    proxy,
    session::{Garbage, Session},
};
use crate::{
    bridge::{BoxFuture, Bridge, LogLine, Request, Submitted},
    envelope::Envelope,
    outcome::Outcome,
    owned,
};

/// How many operations an instance may have under way at once.
const OPERATIONS_MAX: usize = 1 << 14;
/// How many bytes these may hold in all.
const OPERATION_BYTES_MAX: usize = 256 << 20;
/// How many unfinished tasks it may have.
const TASKS_MAX: usize = 1 << 16;

/// An instance in a worker.
pub(super) struct Seat {
    number: u32,
    session: Weak<Session>,
    bridge: Arc<Bridge>,
    operations: Mutex<Operations>,
    ears: Ears,
    tasks: Mutex<HashMap<u64, Arc<Pending>>>,
}

/// The operations under way.
#[derive(Default)]
struct Operations {
    tickets: HashMap<u64, Arc<Ticket>>,
    bytes: usize,
}

enum Entry {
    Entered,
    /// There is one of this number.
    Taken,
    /// There are as many as there may be.
    Full,
}

impl Operations {
    fn enter(&mut self, number: u64, ticket: Arc<Ticket>) -> Entry {
        if self.tickets.contains_key(&number) {
            return Entry::Taken;
        }
        let bytes = self.bytes + ticket.bytes;
        if self.tickets.len() >= OPERATIONS_MAX || bytes > OPERATION_BYTES_MAX {
            return Entry::Full;
        }
        self.bytes = bytes;
        self.tickets.insert(number, ticket);
        Entry::Entered
    }

    fn leave(&mut self, number: u64) -> Option<Arc<Ticket>> {
        let ticket = self.tickets.remove(&number)?;
        self.bytes -= ticket.bytes;
        Some(ticket)
    }
}

/// An operation under way.
#[derive(Default)]
struct Ticket {
    /// Of its payload.
    bytes: usize,
    is_cancelled: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Ticket {
    fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::SeqCst);
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The future's outcome; nothing once it is cancelled.
    async fn redeem(&self, mut future: BoxFuture<Outcome>) -> Option<Outcome> {
        poll_fn(|cx| {
            *self.waker.lock() = Some(cx.waker().clone());
            // Looked at after that: who cancels says so first, and looks for the waker after.
            if self.is_cancelled.load(Ordering::SeqCst) {
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }
}

impl Seat {
    pub(super) fn new(number: u32, session: &Arc<Session>, bridge: Arc<Bridge>) -> Arc<Self> {
        Arc::new(Self {
            number,
            session: Arc::downgrade(session),
            bridge,
            operations: Mutex::default(),
            ears: Ears::default(),
            tasks: Mutex::default(),
        })
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Handles what the instance says.
    pub(super) fn handle(self: &Arc<Self>, message: ToKernel<'_>) -> Result<(), Garbage> {
        match message {
            ToKernel::Submit {
                number,
                operation,
                flags,
                argument,
                target,
                key,
                ref envelope,
                payload,
                ..
            } => {
                let request = Request {
                    operation,
                    flags,
                    number: argument,
                    target,
                    key,
                    payload: Payload::copy_from_slice(payload),
                    envelope: safe(envelope),
                };
                self.submit(number, &request)?;
            }
            ToKernel::CancelOperation { number, .. } => {
                let ticket = self.operations.lock().leave(number);
                if let Some(ticket) = ticket {
                    ticket.cancel();
                }
                self.stop_listening(number);
            }
            ToKernel::Spawned { task, .. } => self.spawned(task)?,
            ToKernel::TaskEnded {
                task, ref answer, ..
            } => {
                let pending = self.tasks.lock().remove(&task);
                if let Some(pending) = pending {
                    pending.answer(Raw::from(answer));
                }
            }
            ToKernel::Log {
                level,
                line,
                target,
                message,
                file,
                ..
            } => {
                let level = log::Level::iter().nth(level.saturating_sub(1) as usize);
                self.bridge.host().log(&LogLine {
                    level: level.unwrap_or(log::Level::Trace),
                    target,
                    message,
                    file,
                    line,
                });
            }
            // The session sends nothing else here.
            _ => {}
        }
        Ok(())
    }

    fn submit(self: &Arc<Self>, number: u64, request: &Request<'_>) -> Result<(), Garbage> {
        if let Err(gone) = self.bridge.gone() {
            self.reply(number, gone.into());
            return Ok(());
        }
        let bytes = request.payload.len();
        let ticket = Arc::new(Ticket {
            bytes,
            ..Ticket::default()
        });
        match self.operations.lock().enter(number, ticket.clone()) {
            Entry::Entered => {}
            Entry::Taken => return Err(Garbage::Number(number)),
            Entry::Full => {
                self.reply(number, self.overloaded().into());
                return Ok(());
            }
        }
        match request.operation {
            operation::NEXT_EVENT if self.listen(number, request.number) => return Ok(()),
            operation::UNSUBSCRIBE => self.stop_hearing(request.number),
            _ => {}
        }
        let host = self.bridge.host();
        let future = if request.operation == operation::CALL {
            // Other plugins' code does not run on the thread that reads.
            owned::submit(host.clone(), request)
        } else {
            match host.submit(request, &mut Context::from_waker(Waker::noop())) {
                Submitted::Ready(outcome) => {
                    self.done(number, outcome);
                    return Ok(());
                }
                Submitted::New(future) | Submitted::Waiting(future) => future,
            }
        };
        let seat = self.clone();
        host.drive(Box::pin(async move {
            if let Some(outcome) = ticket.redeem(future).await {
                seat.done(number, outcome);
            }
        }));
        Ok(())
    }

    fn done(&self, number: u64, outcome: Outcome) {
        // One that was cancelled meanwhile is not asked for any more.
        if self.operations.lock().leave(number).is_some() {
            self.reply(number, outcome);
        }
    }

    fn reply(&self, operation: u64, outcome: Outcome) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        let (code, payload) = match outcome.result {
            Ok(payload) => (octa_plugin_abi::code::OK, payload),
            Err(error) => (error.kind().code(), error.to_document()),
        };
        let message = |code, payload, headers| ToWorker::Reply {
            instance: self.number,
            operation,
            answer: Answer {
                code,
                number: outcome.number,
                payload,
                headers,
            },
        };
        if let Err(error) = session.try_tell(&message(code, &payload, &outcome.headers)) {
            session.tell(&message(error.kind().code(), &error.to_document(), &[]));
        }
    }

    fn spawned(self: &Arc<Self>, task: u64) -> Result<(), Garbage> {
        let Some(session) = self.session.upgrade() else {
            return Ok(());
        };
        let asked = Asked::Task {
            instance: self.number,
            task,
        };
        let pending = Pending::new(&session, asked);
        {
            let mut tasks = self.tasks.lock();
            if tasks.contains_key(&task) {
                return Err(Garbage::Number(task));
            }
            if tasks.len() >= TASKS_MAX {
                drop(tasks);
                pending.abandon();
                return Ok(());
            }
            tasks.insert(task, pending.clone());
        }
        // A refusal drops the future, which ends the task there.
        let _ = self.bridge.spawn(proxy::future(pending));
        Ok(())
    }

    /// The process has ended: so has all that goes on here for it.
    pub(super) fn end(&self, error: &Error) {
        self.let_go();
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for pending in tasks.into_values() {
            pending.answer(Raw::error(error));
        }
    }

    /// Ends what the host does for the instance.
    pub(super) fn let_go(&self) {
        let operations = std::mem::take(&mut *self.operations.lock());
        for ticket in operations.tickets.into_values() {
            ticket.cancel();
        }
        self.stop_all_listening();
    }

    fn overloaded(&self) -> Error {
        let message = format!(
            "plugin `{}` has as many operations under way as it may: {OPERATIONS_MAX}, or {OPERATION_BYTES_MAX} bytes",
            self.bridge.name()
        );
        Error::new(ErrorKind::Overloaded, message).with_hint("await some of them first")
    }
}

fn safe<'a>(envelope: &octa_wire::Envelope<'a>) -> Envelope<'a> {
    let nanos = envelope.remaining_nanos;
    Envelope {
        remaining: (nanos != NO_DEADLINE).then(|| Duration::from_nanos(nanos)),
        correlation: envelope.correlation,
        attempt: envelope.attempt,
        caller: envelope.caller,
        chain: envelope.chain,
        trace: envelope.trace,
        routing_key: envelope.routing_key,
        idempotency_key: envelope.idempotency_key,
        headers: envelope.headers,
    }
}

#[cfg(test)]
mod tests;
