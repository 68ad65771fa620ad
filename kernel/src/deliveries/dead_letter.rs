//! Tells of events that a handler could not handle; keeping them is the job of `dead_letters`.

use octa_plugin_api::Payload;
use serde_json::json;

use crate::{
    bus::Publisher,
    dead_letters::{DeadLetters, GivenUp},
};

/// The topic that such events are told on.
const DEAD_LETTER: &str = "kernel.dead_letter";

/// Tells that an event of this subscription is given up, and why.
pub(super) fn tell(publisher: &Publisher, letters: &DeadLetters, given_up: &GivenUp<'_>) {
    let GivenUp {
        subscription,
        event,
        error,
        attempts,
    } = given_up;
    let plugin = subscription.name();
    log::warn!(
        "plugin `{plugin}` could not handle an event on `{}`: {error:?}",
        event.topic
    );
    subscription.count_dead();
    let number = letters.add(given_up);
    // Telling of it would never end.
    if &*event.topic == DEAD_LETTER {
        return;
    }
    // Without what the event says: every plugin may listen here, and not to every topic.
    let letter = json!({
        "plugin": plugin,
        "subscription": subscription.pattern().as_str(),
        "cause": error.message(),
        "kind": error.kind().label(),
        "attempts": attempts,
        "letter": number,
        "topic": &*event.topic,
        "source": &*event.source,
        "id": event.id,
    });
    let payload = Payload::json(&letter).unwrap_or_default();
    // Never waits for room: who publishes here is the delivery itself.
    drop(publisher.publish(DEAD_LETTER, payload, event.correlation));
}
