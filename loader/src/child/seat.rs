//! One instance in a worker, as its host sees it: what it asks of the host, and its tasks.

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

use super::{
    pending::{Asked, Pending, Raw},
    proxy,
    session::Session,
};
use crate::{
    bridge::{BoxFuture, Bridge, LogLine, Request, Submitted},
    envelope::Envelope,
    outcome::Outcome,
    owned,
};

/// How many operations an instance may have under way at once.
const OPERATIONS_MAX: usize = 1 << 14;
/// How many unfinished tasks it may have.
const TASKS_MAX: usize = 1 << 16;

/// An instance in a worker.
pub(super) struct Seat {
    number: u32,
    session: Weak<Session>,
    bridge: Arc<Bridge>,
    operations: Mutex<HashMap<u64, Arc<Ticket>>>,
    tasks: Mutex<HashMap<u64, Arc<Pending>>>,
}

/// An operation under way.
#[derive(Default)]
struct Ticket {
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
            tasks: Mutex::default(),
        })
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Handles what the instance says.
    pub(super) fn handle(self: &Arc<Self>, message: ToKernel<'_>) {
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
                self.submit(number, &request);
            }
            ToKernel::CancelOperation { number, .. } => {
                let ticket = self.operations.lock().remove(&number);
                if let Some(ticket) = ticket {
                    ticket.cancel();
                }
            }
            ToKernel::Spawned { task, .. } => self.spawned(task),
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
    }

    fn submit(self: &Arc<Self>, number: u64, request: &Request<'_>) {
        if let Err(gone) = self.bridge.gone() {
            return self.reply(number, gone.into());
        }
        let ticket = Arc::new(Ticket::default());
        {
            let mut operations = self.operations.lock();
            if operations.len() >= OPERATIONS_MAX {
                drop(operations);
                return self.reply(number, self.overloaded().into());
            }
            operations.insert(number, ticket.clone());
        }
        let host = self.bridge.host();
        let future = if request.operation == operation::CALL {
            // Other plugins' code does not run on the thread that reads.
            owned::submit(host.clone(), request)
        } else {
            match host.submit(request, &mut Context::from_waker(Waker::noop())) {
                Submitted::Ready(outcome) => return self.done(number, outcome),
                Submitted::New(future) | Submitted::Waiting(future) => future,
            }
        };
        let seat = self.clone();
        host.drive(Box::pin(async move {
            if let Some(outcome) = ticket.redeem(future).await {
                seat.done(number, outcome);
            }
        }));
    }

    fn done(&self, number: u64, outcome: Outcome) {
        // One that was cancelled meanwhile is not asked for any more.
        if self.operations.lock().remove(&number).is_some() {
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
        session.tell(&ToWorker::Reply {
            instance: self.number,
            operation,
            answer: Answer {
                code,
                number: outcome.number,
                payload: &payload,
                headers: &outcome.headers,
            },
        });
    }

    fn spawned(self: &Arc<Self>, task: u64) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        let asked = Asked::Task {
            instance: self.number,
            task,
        };
        let pending = Pending::new(&session, asked);
        {
            let mut tasks = self.tasks.lock();
            if tasks.len() >= TASKS_MAX {
                drop(tasks);
                return pending.abandon();
            }
            tasks.insert(task, pending.clone());
        }
        // A refusal drops the future, which ends the task there.
        let _ = self.bridge.spawn(proxy::future(pending));
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
        for ticket in operations.into_values() {
            ticket.cancel();
        }
    }

    fn overloaded(&self) -> Error {
        let message = format!(
            "plugin `{}` has {OPERATIONS_MAX} operations under way, which is as many as it may",
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
