//! Pipelines: capabilities called one after the other, each with what the one before answered, as
//! one call with one deadline.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    task::Context,
    time::Duration,
};

use octa_loader::{Envelope, Outcome};
use octa_plugin_api::{Error, ErrorKind, Payload};
use serde_json::{Value, json};

use super::{
    Services,
    call::{Begun, Entry, Setup},
    chain::Chain,
    kept::KeptCall,
    keyed::finish,
    pending::Waited,
};

/// The largest answer of a step that is told in full when a later one fails, in bytes.
const TOLD: usize = 4096;

/// How much longer a pipeline is waited for than it runs.
const SLACK: Duration = Duration::from_secs(1);

/// The steps of a pipeline.
#[derive(Debug, PartialEq)]
pub(super) struct Steps {
    names: Box<[Arc<str>]>,
    /// What they come down to where some of them are pipelines: worked out once, from one
    /// configuration, since at the moment of a change two of them may lead to each other.
    leaves: BTreeSet<Arc<str>>,
}

impl Steps {
    /// Those of a pipeline of a configuration.
    pub(super) fn of(pipelines: &BTreeMap<String, Vec<String>>, name: &str) -> Option<Self> {
        let steps = pipelines.get(name)?;
        let mut leaves = BTreeSet::new();
        let mut seen = BTreeSet::from([name]);
        let mut left: Vec<&str> = steps.iter().map(String::as_str).collect();
        while let Some(step) = left.pop() {
            match pipelines.get(step) {
                None => _ = leaves.insert(step.into()),
                Some(steps) if seen.insert(step) => left.extend(steps.iter().map(String::as_str)),
                Some(_) => {}
            }
        }
        Some(Self {
            names: steps.iter().map(|step| step.as_str().into()).collect(),
            leaves,
        })
    }

    pub(super) fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    pub(super) fn leaves(&self) -> impl Iterator<Item = &Arc<str>> {
        self.leaves.iter()
    }
}

impl Services {
    pub(super) fn begin_steps(
        &self,
        call: &Setup<'_>,
        steps: Arc<Steps>,
        cx: &mut Context<'_>,
    ) -> Begun {
        let limit = self.deadline(call.envelope, None);
        let work = Box::pin(run_or_go_on(call.keep(self, limit), steps));
        // Whoever runs the steps looks at the time too, and can say how far they came.
        let limit = limit.saturating_add(SLACK);
        self.wait(call, None, Entry::PLAIN, limit, Waited::Others(work), cx)
    }

    /// Begins one step of a pipeline.
    fn begin_step(
        &self,
        pipeline: &Setup<'_>,
        name: &str,
        key: &str,
        payload: &Payload,
        cx: &mut Context<'_>,
    ) -> Begun {
        let route = match self.find(name) {
            Ok(route) => route,
            Err(error) => return error.into(),
        };
        let chain = match Chain::extend(pipeline.chain, route.digits()) {
            Ok(chain) => chain,
            Err(refused) => return self.refused(refused).into(),
        };
        let envelope = Envelope {
            attempt: 0,
            idempotency_key: key,
            remaining: self.left_for(&route, pipeline.envelope),
            ..*pipeline.envelope
        };
        let step = Setup {
            route: &route,
            envelope: &envelope,
            chain: chain.as_str(),
            payload,
            kept: None,
            died: None,
            ..*pipeline
        };
        self.begin_as(&step, cx)
    }
}

/// Runs a pipeline; where it stops, its fallback may answer.
async fn run_or_go_on(pipeline: Arc<KeptCall>, steps: Arc<Steps>) -> Outcome {
    let (outcome, has_run) = run(pipeline.clone(), steps).await;
    let Err(error) = &outcome.result else {
        return outcome;
    };
    let services = pipeline.services();
    let go_on = |cx: &mut Context<'_>| {
        let begun = pipeline.with(|call| {
            let has_run = has_run.then(|| services.is_repeatable(call));
            services.go_on(call, error, has_run, cx)
        });
        begun.unwrap_or_else(|| error.clone().into())
    };
    finish(go_on).await
}

/// Runs the steps; says too whether any of them may have begun.
async fn run(pipeline: Arc<KeptCall>, steps: Arc<Steps>) -> (Outcome, bool) {
    let steps = steps.names();
    let services = pipeline.services();
    let mut payload = pipeline.payload().clone();
    let mut done = Vec::new();
    let mut end = services.0.clock.sleep(pipeline.left());
    for (number, name) in (1..).zip(steps.iter()) {
        let begin = |cx: &mut Context<'_>| {
            pipeline.with(|call| {
                let pipeline = call.route.name();
                let key = key_of_step(pipeline, number, call.envelope.idempotency_key);
                services.begin_step(call, name, &key, &payload, cx)
            })
        };
        let ended = tokio::select! {
            biased;
            outcome = finish(begin) => outcome.result,
            () = &mut end => Err(late(&pipeline)),
        };
        match ended {
            Ok(answer) => {
                done.push(told(name, &answer));
                payload = answer;
            }
            Err(error) => {
                let pipeline = pipeline.route().name();
                // What no plugin said was refused before any was asked.
                let has_run = number > 1 || error.plugin().is_some() || is_cut_short(&error);
                return (
                    stopped(pipeline, number, steps, done, error).into(),
                    has_run,
                );
            }
        }
    }
    (Outcome::ok(0, payload), true)
}

fn late(pipeline: &KeptCall) -> Error {
    let message = format!("the time of `{}` is over", pipeline.route().name());
    Error::new(ErrorKind::Deadline, message)
}

/// Whether a step may have begun that the kernel ended.
fn is_cut_short(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::UnknownCapability
    )
}

/// Each step of a call with a key has one of its own, so that none is done twice.
fn key_of_step(pipeline: &str, number: usize, key: &str) -> String {
    match key {
        "" => String::new(),
        _ => format!("{pipeline}#{number}#{key}"),
    }
}

/// A step that was done, and what it answered.
fn told(name: &str, answer: &Payload) -> Value {
    let output = match answer.len() {
        0 => Some(Value::Null),
        1..=TOLD => serde_json::from_slice(answer).ok(),
        _ => None,
    };
    match output {
        Some(output) => json!({"capability": name, "output": output}),
        None => json!({"capability": name, "bytes": answer.len()}),
    }
}

fn stopped(
    pipeline: &str,
    number: usize,
    steps: &[Arc<str>],
    done: Vec<Value>,
    error: Error,
) -> Error {
    let (name, count) = (&steps[number - 1], steps.len());
    let details = json!({
        "pipeline": pipeline,
        "step": number,
        "capability": &**name,
        "done": done,
        "cause": error.details(),
    });
    error
        .context(format!(
            "step {number} of {count} of `{pipeline}`, `{name}`"
        ))
        .with_details(details)
}
