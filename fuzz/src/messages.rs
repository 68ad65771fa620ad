//! Messages as an input has them: well formed, about what there may be.

use octa_wire::{Answer, Envelope, Event, ToKernel, ToWorker, control};

use crate::Script;

/// How large numbers get that the other side has given something, or may have.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    /// Of what is answered.
    pub ids: u8,
    /// Of instances and libraries.
    pub instances: u8,
    /// Of handlers.
    pub handlers: u8,
}

impl Numbers {
    fn id(self, script: &mut Script<'_>) -> u64 {
        match script.below(self.ids.saturating_add(1)) {
            0 => script.number(),
            id => u64::from(id),
        }
    }

    fn instance(self, script: &mut Script<'_>) -> u32 {
        match script.below(self.instances.saturating_add(8)) {
            0 => narrow(script.number()),
            instance if instance <= self.instances => instance.into(),
            _ => 1,
        }
    }

    fn handler(self, script: &mut Script<'_>) -> u32 {
        script.below(self.handlers.saturating_add(1)).into()
    }
}

/// A message of a worker.
pub fn to_kernel<'a>(script: &mut Script<'a>, numbers: Numbers) -> ToKernel<'a> {
    let kind = script.below(12);
    let instance = numbers.instance(script);
    match kind {
        0 => ToKernel::Welcome(script.bytes()),
        1 | 2 => ToKernel::Answer {
            id: numbers.id(script),
            answer: answer(script),
        },
        3 => ToKernel::Handled {
            id: numbers.id(script),
        },
        4 | 5 => ToKernel::Submit {
            instance,
            number: numbers.id(script),
            operation: operation(script),
            flags: script.below(4).into(),
            argument: script.number(),
            target: script.text(),
            key: script.text(),
            envelope: envelope(script),
            payload: script.bytes(),
        },
        6 => ToKernel::CancelOperation {
            instance,
            number: numbers.id(script),
        },
        7 => ToKernel::Spawned {
            instance,
            task: numbers.id(script),
        },
        8 | 9 => ToKernel::TaskEnded {
            instance,
            task: numbers.id(script),
            answer: answer(script),
        },
        10 => ToKernel::Log {
            instance,
            level: script.below(7).into(),
            line: script.byte().into(),
            target: script.text(),
            message: script.text(),
            file: script.text(),
        },
        _ => ToKernel::Pong {
            number: script.number(),
        },
    }
}

/// A message of a kernel that was welcomed. It opens nothing: only who plays it knows what there
/// is to open.
pub fn to_worker<'a>(script: &mut Script<'a>, numbers: Numbers) -> ToWorker<'a> {
    let kind = script.below(18);
    let (id, instance) = (numbers.id(script), numbers.instance(script));
    match kind {
        0 => ToWorker::Hello(script.bytes()),
        1 => ToWorker::Close {
            id,
            generation: instance,
        },
        2 => ToWorker::Create {
            id,
            instance,
            generation: numbers.instance(script),
            log_level: script.below(7).into(),
            config: script.bytes(),
        },
        3 => ToWorker::Destroy { id, instance },
        4..=6 => ToWorker::Call {
            id,
            instance,
            handler: numbers.handler(script),
            envelope: envelope(script),
            payload: script.bytes(),
        },
        7 => ToWorker::Deliver {
            id,
            instance,
            handler: numbers.handler(script),
            events: (0..script.below(4)).map(|_| event(script)).collect(),
        },
        8 => ToWorker::Cut { id },
        9 => ToWorker::Control {
            id,
            instance,
            what: match script.below(12) {
                10 => control::FREEZE,
                11 => control::THAW,
                what => what.into(),
            },
            number: script.number(),
            payload: script.bytes(),
        },
        10 => ToWorker::Cancel { id },
        11 | 12 => ToWorker::Reply {
            instance,
            operation: id,
            answer: answer(script),
        },
        13 | 14 => ToWorker::StartTask { instance, task: id },
        15 => ToWorker::CancelTask { instance, task: id },
        16 => ToWorker::Ping {
            number: script.number(),
        },
        _ => ToWorker::Goodbye,
    }
}

fn operation(script: &mut Script<'_>) -> u32 {
    let facility = u32::from(script.below(8));
    facility << 8 | u32::from(script.below(8))
}

fn answer<'a>(script: &mut Script<'a>) -> Answer<'a> {
    Answer {
        code: match script.below(32) {
            31 => narrow(script.number()),
            code => code.saturating_sub(8).into(),
        },
        number: script.number(),
        payload: script.bytes(),
        headers: script.bytes(),
    }
}

fn envelope<'a>(script: &mut Script<'a>) -> Envelope<'a> {
    if script.flag() {
        return Envelope {
            remaining_nanos: u64::MAX,
            ..Envelope::default()
        };
    }
    Envelope {
        remaining_nanos: script.number(),
        correlation: script.number().into(),
        attempt: script.below(4).into(),
        caller: script.text(),
        chain: script.text(),
        trace: script.text(),
        routing_key: script.text(),
        idempotency_key: script.text(),
        headers: script.bytes(),
    }
}

fn event<'a>(script: &mut Script<'a>) -> Event<'a> {
    Event {
        id: script.number(),
        sequence: script.number(),
        time: script.number(),
        correlation: script.number().into(),
        attempt: script.below(4).into(),
        content_type: script.below(4).into(),
        topic: script.text(),
        source: script.text(),
        payload: script.bytes(),
    }
}

/// The upper part is lost.
fn narrow(number: u64) -> u32 {
    (number & u64::from(u32::MAX)) as u32
}
