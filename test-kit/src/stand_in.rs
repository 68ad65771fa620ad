//! Stand-ins for other plugins: each offers one capability and answers by a function of the test.

use std::sync::Arc;

use octa_kernel::Linked;
use octa_plugin_api::{
    Error, Input, Output, Payload, Result, Schema, Tentacle, abi, decode,
    export::{self, CallHandler, DeliveryHandler, Exported},
    schema::Node,
};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;

/// Answers calls.
pub(crate) type Answer = Arc<dyn Fn(&Payload) -> Result<Payload> + Send + Sync>;

/// The answers of all stand-ins of this process: a plugin is made from its configuration alone,
/// which can hold a number but no function.
static ANSWERS: Mutex<Vec<Answer>> = Mutex::new(Vec::new());

/// Makes an answer of a typed function.
pub(crate) fn answer<I, O>(function: impl Fn(I) -> Result<O> + Send + Sync + 'static) -> Answer
where
    I: Input,
    O: Output,
{
    Arc::new(move |input| function(decode(input)?)?.encode())
}

/// Keeps an answer; what comes back is the number for the configuration.
pub(crate) fn keep(answer: Answer) -> usize {
    let mut answers = ANSWERS.lock();
    answers.push(answer);
    answers.len() - 1
}

/// A plugin of this name that offers the capability.
pub(crate) fn plugin(name: &str, capability: &str) -> Result<Linked> {
    Ok(Linked::new(&export::Linked {
        root: export::root::<StandIn>(),
        manifest: manifest(name, capability).to_string(),
    })?)
}

fn manifest(name: &str, capability: &str) -> serde_json::Value {
    json!({
        "manifest": "1.0",
        "name": name,
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Stands in for another plugin in a test.",
        "license": env!("CARGO_PKG_LICENSE"),
        "abi": { "major": abi::MAJOR, "minor": abi::MINOR, "fingerprint": abi::FINGERPRINT },
        "compiler": export::COMPILER,
        "panic": export::PANIC,
        "target": export::TARGET,
        "allocator": "own",
        "capabilities": [
            { "name": capability, "description": "", "input": {}, "output": {} },
        ],
        "config": { "type": "object" },
    })
}

/// Which answer a stand-in gives.
#[derive(Deserialize)]
struct Ticket {
    answer: usize,
}

impl Schema for Ticket {
    const SCHEMA: &'static Node = &Node::Any;
}

struct StandIn(Answer);

impl Tentacle for StandIn {
    type Config = Ticket;

    fn create(ticket: Ticket) -> Result<Self> {
        let answer = ANSWERS.lock().get(ticket.answer).cloned();
        answer
            .map(Self)
            .ok_or_else(|| Error::msg("a stand-in without an answer"))
    }
}

/// By hand, for the attribute would export it as the plugin of every program that tests one.
impl Exported for StandIn {
    const MANIFEST: &'static str = "";
    const CALLS: &'static [CallHandler<Self>] =
        &[|this, call| call.ready(|_, input: Payload| (this.0)(&input))];
    const DELIVERIES: &'static [DeliveryHandler<Self>] = &[];
    const STATE_VERSION: Option<u32> = None;

    fn live_memory() -> Option<(u64, u64)> {
        None
    }
}
