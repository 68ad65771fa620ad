//! The host of an instance: whatever it is asked for, it asks of the kernel.

use std::{sync::Arc, task::Context, time::Duration};

use octa_loader::{BoxFuture, Host, LogLine, Outcome, Request, Submitted, Work, operation};
use octa_plugin_api::Payload;
use octa_wire::{Envelope, NO_DEADLINE, ToKernel};

use rustix::time::{ClockId, clock_gettime};

use crate::{listening::NextEvent, seat::Seat};

/// The host of the instance of this seat.
pub(crate) struct Forward(pub(crate) Arc<Seat>);

impl Host for Forward {
    fn submit(&self, request: &Request<'_>, _: &mut Context<'_>) -> Submitted {
        if let Some(now) = now(request.operation) {
            return Submitted::Ready(Outcome::ok(now, Payload::empty()));
        }
        let Self(seat) = self;
        if request.operation == operation::NEXT_EVENT {
            return Submitted::New(Box::pin(NextEvent::new(seat, request.number)));
        }
        let operation = seat.ask(|number| ToKernel::Submit {
            instance: seat.number,
            number,
            operation: request.operation,
            flags: request.flags,
            argument: request.number,
            target: request.target,
            key: request.key,
            envelope: plain(&request.envelope),
            payload: &request.payload,
        });
        match operation {
            Ok(operation) => Submitted::New(Box::pin(operation)),
            Err(error) => Submitted::Ready(error.into()),
        }
    }

    fn drive(&self, future: BoxFuture<()>) {
        let (runnable, task) = self.0.worker.task(future);
        task.detach();
        runnable.schedule();
    }

    fn run_task(&self, task: BoxFuture<()>) {
        self.drive(task);
    }

    fn take_task(&self, _: &Arc<str>, task: Work) {
        self.0.spawn(task);
    }

    fn log(&self, line: &LogLine<'_>) {
        // A line that the kernel does not read, because of all those before it, is lost.
        drop(self.0.worker.send(&ToKernel::Log {
            instance: self.0.number,
            level: line.level as u32,
            line: line.line,
            target: line.target,
            message: line.message,
            file: line.file,
        }));
    }
}

/// What the operation asks of the clocks, if it does: that is answered at once, by those of the
/// system, which all its processes share.
fn now(operation: u32) -> Option<u64> {
    let clock = match operation {
        operation::NOW => ClockId::Realtime,
        operation::MONOTONIC => ClockId::Monotonic,
        _ => return None,
    };
    let now = Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    Some(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

fn plain<'a>(envelope: &octa_loader::Envelope<'a>) -> Envelope<'a> {
    let nanos = |left: Duration| u64::try_from(left.as_nanos()).unwrap_or(NO_DEADLINE);
    Envelope {
        remaining_nanos: envelope.remaining.map_or(NO_DEADLINE, nanos),
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
