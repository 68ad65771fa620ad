//! What each message of the kernel makes happen. What may run code of a plugin does so within the
//! leader's turn, or on a thread to spare.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::AtomicBool},
    task::{Context, Poll, Waker},
    time::Duration,
};

use octa_loader::{Instance, Outcome, Started, Terms};
use octa_plugin_abi::control as asked;
use octa_plugin_api::Payload;
use octa_wire::{Envelope, Event, ToKernel, ToWorker, control};

use crate::{
    delivery::{Delivery, Kept},
    failure::{Failure, exit_now},
    jobs::{Cut, cancelled},
    turn::Turn,
    worker::Worker,
};

/// What is asked of an instance.
struct Question {
    id: u64,
    instance: u32,
    what: u32,
    number: u64,
    payload: Payload,
}

impl Worker {
    /// Does what a message says; false if the turn is over since.
    pub(crate) fn handle(&'static self, frame: &[u8], turn: &Turn) -> bool {
        self.try_handle(frame, turn)
            .unwrap_or_else(|failure| failure.end())
    }

    fn try_handle(&'static self, frame: &[u8], turn: &Turn) -> Result<bool, Failure> {
        let run = |piece: &mut dyn FnMut()| turn.run(&self.watch, piece);
        let mut leads = true;
        match ToWorker::decode(frame)? {
            ToWorker::Hello(_) => return Err(Failure::OutOfTurn("Hello")),
            ToWorker::Open {
                id,
                generation,
                path,
                hash,
                manifest,
            } => self.open(id, generation, path, hash, manifest),
            ToWorker::Close { id, generation } => self.close(id, generation)?,
            ToWorker::Create {
                id,
                instance,
                generation,
                log_level,
                config,
            } => self.create(id, instance, generation, log_level, config)?,
            ToWorker::Destroy { id, instance } => self.destroy(id, instance)?,
            ToWorker::Call {
                id,
                instance,
                handler,
                envelope,
                payload,
            } => {
                let instance = self.instance(instance)?;
                if may_block_call(&instance, handler) {
                    self.call_elsewhere(id, instance, frame.to_vec());
                } else {
                    self.jobs.begin(id, None);
                    leads = run(&mut || self.call(id, &instance, handler, &envelope, payload));
                }
            }
            ToWorker::Deliver {
                id,
                instance,
                handler,
                events,
            } => leads = self.deliver(id, instance, handler, &events, turn)?,
            ToWorker::Cut { id } => self.jobs.cut(id),
            ToWorker::Control {
                id,
                instance,
                what,
                number,
                payload,
            } => {
                let payload = Payload::copy_from_slice(payload);
                let question = Question {
                    id,
                    instance,
                    what,
                    number,
                    payload,
                };
                leads = self.control(question, turn)?;
            }
            ToWorker::Cancel { id } => self.jobs.cancel(id),
            ToWorker::Reply {
                instance,
                operation,
                answer,
            } => {
                // One whose instance is gone, or that was ended, was answered just before that.
                if let Some(seat) = self.seat(instance) {
                    leads = run(&mut || seat.reply(operation, &answer));
                }
            }
            ToWorker::StartTask { instance, task } => {
                if let Some(seat) = self.seat(instance) {
                    seat.tasks.start(task);
                }
            }
            ToWorker::CancelTask { instance, task } => {
                if let Some(seat) = self.seat(instance) {
                    seat.tasks.cancel(task);
                }
            }
            ToWorker::Ping { number } => self.tell(&ToKernel::Pong { number }),
            ToWorker::Goodbye => exit_now(0),
        }
        Ok(leads)
    }

    fn call(
        &'static self,
        id: u64,
        instance: &Instance,
        handler: u32,
        envelope: &Envelope<'_>,
        payload: &[u8],
    ) {
        let payload = Payload::copy_from_slice(payload);
        let mut cx = Context::from_waker(Waker::noop());
        match begin_call(instance, handler, envelope, &payload, &mut cx) {
            Started::Ready(outcome) => self.answer_begun(id, &outcome),
            Started::TurnedAway(error) => self.answer_begun(id, &error.into()),
            Started::Pending(work) => self.keep(id, work),
        }
    }

    /// A call of a handler that may block. It comes with its whole message.
    fn call_elsewhere(&'static self, id: u64, instance: Instance, frame: Vec<u8>) {
        let call = async move {
            let Ok(ToWorker::Call {
                handler,
                ref envelope,
                payload,
                ..
            }) = ToWorker::decode(&frame)
            else {
                return cancelled().into();
            };
            let payload = Payload::copy_from_slice(payload);
            let begin =
                |cx: &mut Context<'_>| begin_call(&instance, handler, envelope, &payload, cx);
            let started = poll_fn(|cx| Poll::Ready(begin(cx))).await;
            started.finish().await
        };
        self.run_blocking(id, None, Box::pin(call));
    }

    fn deliver(
        &'static self,
        id: u64,
        instance: u32,
        handler: u32,
        events: &[Event<'_>],
        turn: &Turn,
    ) -> Result<bool, Failure> {
        let instance = self.instance(instance)?;
        let may_block = may_block_delivery(&instance, handler);
        let events: Vec<_> = events.iter().map(Kept::of).collect();
        let cut: Cut = Arc::new(AtomicBool::new(false));
        let delivery = Delivery {
            worker: self,
            id,
            instance,
            handler,
            events: events.into_iter(),
            cut: cut.clone(),
            work: None,
        };
        if may_block {
            self.run_blocking(id, Some(cut), delivery);
            return Ok(true);
        }
        self.jobs.begin(id, Some(cut));
        Ok(turn.run(&self.watch, || self.go_on(id, delivery)))
    }

    fn control(&'static self, question: Question, turn: &Turn) -> Result<bool, Failure> {
        let Question {
            id,
            instance,
            what,
            number,
            payload,
        } = question;
        let (seat, instance) = self.seat_of(instance)?;
        match what {
            control::FREEZE => {
                seat.tasks.freeze();
                self.jobs.begin(id, None);
                let frozen = async move {
                    let outcome = seat.tasks.frozen().await;
                    seat.listening.stand_still(&seat.tasks);
                    outcome
                };
                self.go_on(id, Box::pin(frozen));
                return Ok(true);
            }
            control::THAW => {
                seat.tasks.thaw();
                seat.listening.go_on();
                self.answer(id, &Outcome::ok(0, Payload::empty()));
                return Ok(true);
            }
            _ => {}
        }
        let answer = Box::pin(async move { instance.control(what, number, payload).await });
        if !matches!(what, asked::HEALTH | asked::USAGE) {
            self.run_blocking(id, None, answer);
            return Ok(true);
        }
        self.jobs.begin(id, None);
        Ok(turn.run(&self.watch, || self.go_on(id, answer)))
    }
}

fn begin_call(
    instance: &Instance,
    handler: u32,
    envelope: &Envelope<'_>,
    payload: &Payload,
    cx: &mut Context<'_>,
) -> Started {
    // Whether there is a deadline shows in the number, here as in the ABI.
    let terms = Terms {
        remaining: Duration::from_nanos(envelope.remaining_nanos),
        correlation: envelope.correlation,
        chain: envelope.chain,
    };
    let envelope = octa_loader::Envelope {
        remaining: None,
        correlation: envelope.correlation,
        attempt: envelope.attempt,
        caller: envelope.caller,
        chain: envelope.chain,
        trace: envelope.trace,
        routing_key: envelope.routing_key,
        idempotency_key: envelope.idempotency_key,
        headers: envelope.headers,
    };
    instance.call(handler, &envelope, &terms, payload, cx)
}

fn may_block_call(instance: &Instance, handler: u32) -> bool {
    let capabilities = &instance.generation().manifest().capabilities;
    capabilities
        .get(handler as usize)
        .is_some_and(|capability| capability.blocking)
}

fn may_block_delivery(instance: &Instance, handler: u32) -> bool {
    let subscriptions = &instance.generation().manifest().subscriptions;
    subscriptions
        .get(handler as usize)
        .is_some_and(|subscription| subscription.blocking)
}
