//! Dead letters: events that could not be handled, to be looked at, replayed and forgotten.

use hyper::Method;
use octa_kernel::{CallError, DeadLetter};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::routes::{only, unknown};
use super::{Admin, Refusal, invalid};
use crate::answer::{ErrorBody, raw};
use crate::event_line::EventLine;

/// What can be done to one; the first of them also to all.
pub(super) const ACTIONS: [&str; 2] = [REPLAY, "forget"];
const REPLAY: &str = "replay";

impl Admin {
    /// What is asked of dead letters by the rest of a path.
    pub(super) async fn letters(
        &self,
        method: &Method,
        rest: &[&str],
        path: &str,
    ) -> Result<Box<RawValue>, Refusal> {
        let expected = match rest {
            [] => Method::GET,
            [REPLAY] => Method::POST,
            [_] => Method::GET,
            [_, action] if ACTIONS.contains(action) => Method::POST,
            _ => return Err(unknown(path).into()),
        };
        only(method.clone(), expected)?;
        match *rest {
            [] => self.all_letters().await,
            [REPLAY] => self.replay_all().await,
            [id] => {
                let letter = self.kernel.dead_letter(number(id)?).await;
                let letter = letter.map_err(told)?;
                Ok(raw(&Told::of(&letter, EventLine::of(&letter.event)))?)
            }
            [id, action, ..] => self.act_on(number(id)?, action).await,
        }
    }

    async fn all_letters(&self) -> Result<Box<RawValue>, Refusal> {
        let letters = self.kernel.dead_letters().await;
        let told = letters.iter().map(|it| Told::of(it, without_data(it)));
        Ok(raw(&told.collect::<Vec<_>>())?)
    }

    /// Answers what it was.
    async fn act_on(&self, id: u64, action: &str) -> Result<Box<RawValue>, Refusal> {
        let letter = self.kernel.dead_letter(id).await.map_err(told)?;
        let done = match action {
            REPLAY => self.kernel.replay_dead_letter(id).await,
            _ => self.kernel.forget_dead_letter(id).await,
        };
        done.map_err(told)?;
        Ok(raw(&Told::of(&letter, without_data(&letter)))?)
    }

    /// Replays those that there are now, and not those that come of it.
    async fn replay_all(&self) -> Result<Box<RawValue>, Refusal> {
        let (mut replayed, mut left) = (Vec::new(), Vec::new());
        for letter in self.kernel.dead_letters().await {
            let id = letter.id;
            match self.kernel.replay_dead_letter(id).await {
                Ok(()) => replayed.push(id),
                Err(error) => left.push(json!({ "id": id, "error": told(error) })),
            }
        }
        Ok(raw(&json!({ "replayed": replayed, "left": left }))?)
    }
}

/// A letter as it is told, with as much of its event as is asked for.
#[derive(Debug, Serialize)]
struct Told<'a, E> {
    id: u64,
    time: u64,
    plugin: &'a str,
    subscription: &'a str,
    which: usize,
    cause: &'a str,
    kind: &'a str,
    attempts: u32,
    event: E,
}

impl<'a, E> Told<'a, E> {
    fn of(letter: &'a DeadLetter, event: E) -> Self {
        Self {
            id: letter.id,
            time: letter.time,
            plugin: &letter.plugin,
            subscription: &letter.subscription,
            which: letter.which,
            cause: &letter.cause,
            kind: &letter.kind,
            attempts: letter.attempts,
            event,
        }
    }
}

/// An event with how long it is instead of what it says.
fn without_data(letter: &DeadLetter) -> Value {
    let event = &letter.event;
    json!({
        "id": event.id,
        "topic": &*event.topic,
        "source": &*event.source,
        "time": event.time,
        "bytes": event.payload.len(),
    })
}

fn number(id: &str) -> Result<u64, ErrorBody> {
    id.parse().map_err(|_| {
        invalid(
            format!("`{id}` is no dead letter, expected its number"),
            Some(THERE_ARE.to_owned()),
        )
    })
}

const THERE_ARE: &str = "`octa dead-letters list` shows those there are";

fn told(error: CallError) -> ErrorBody {
    let error = ErrorBody::from(error);
    ErrorBody {
        hint: error.hint.or_else(|| Some(THERE_ARE.to_owned())),
        ..error
    }
}
