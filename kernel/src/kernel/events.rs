//! The kernel's events as its embedder publishes, receives, and counts them.

use std::{sync::Arc, time::Duration};

use octa_loader::{NameError, Pattern};
use octa_plugin_api::{Error, ErrorKind, Output, Payload};

use super::{CallError, HOST, Kernel};
use crate::{
    bus::{
        Delivery, Draft, JSON, PublishOutcome, RetainError, Subscription, SubscriptionHandle,
        SubscriptionOptions,
    },
    dead_letters::NotReplayed,
    status::{DeadLetter, SubscriptionStatus},
};

/// The circumstances of a publish, where the defaults will not do.
#[derive(Debug, Clone, Default)]
pub struct PublishOptions {
    /// The time for subscribers with back-pressure to make room; the configured one of calls by
    /// default.
    pub deadline: Option<Duration>,
    /// What ties together everything that this event leads to; 0 for a new one.
    pub correlation_id: u128,
    /// Keeps the event as the last of its topic, for subscribers to come.
    pub retain: bool,
}

impl Kernel {
    /// Publishes an event, with JSON; answers how many subscriptions matched.
    ///
    /// # Errors
    ///
    /// An invalid topic, data that refuses to be serialised, or subscribers with back-pressure that
    /// make no room within the configured deadline of calls.
    pub async fn publish(
        &self,
        topic: &str,
        data: &(impl Output + ?Sized),
    ) -> Result<usize, CallError> {
        let published = self
            .0
            .publisher
            .publish(topic, data.encode()?, self.correlation(0));
        match published.map_err(invalid)? {
            PublishOutcome::Ready(matched) => Ok(matched),
            PublishOutcome::Waiting(delivery) => self.room(topic, delivery, None).await,
        }
    }

    /// Publishes an event, with JSON, and keeps it as the last of its topic: every subscription to
    /// come that matches is handed it first. Answers how many subscriptions matched.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); and if there is no room, then it was not published either.
    pub async fn publish_retained(
        &self,
        topic: &str,
        data: &(impl Output + ?Sized),
    ) -> Result<usize, CallError> {
        let options = PublishOptions {
            retain: true,
            ..PublishOptions::default()
        };
        self.publish_with(topic, &data.encode()?, &options).await
    }

    /// Publishes bytes under circumstances of one's own; answers how many subscriptions matched.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish) or [`publish_retained`](Self::publish_retained).
    pub async fn publish_with(
        &self,
        topic: &str,
        payload: &Payload,
        options: &PublishOptions,
    ) -> Result<usize, CallError> {
        let draft = Draft {
            topic,
            payload: payload.clone(),
            content_type: JSON,
            correlation: self.correlation(options.correlation_id),
        };
        let publisher = &self.0.publisher;
        let outcome = match options.retain {
            false => publisher.send(draft).map_err(invalid)?,
            true => publisher.retain(draft).map_err(not_retained)?,
        };
        match outcome {
            PublishOutcome::Ready(matched) => Ok(matched),
            PublishOutcome::Waiting(delivery) => self.room(topic, delivery, options.deadline).await,
        }
    }

    /// Waits until an event is taken in everywhere.
    async fn room(
        &self,
        topic: &str,
        delivery: Delivery,
        deadline: Option<Duration>,
    ) -> Result<usize, CallError> {
        let limit = deadline.unwrap_or_else(|| self.commons().services.default_deadline());
        tokio::select! {
            matched = delivery => Ok(matched),
            () = self.commons().clock.sleep(limit) => {
                let message = format!("subscribers did not make room on `{topic}` within {limit:?}");
                Err(Error::new(ErrorKind::Deadline, message).into())
            }
        }
    }

    /// Forgets the retained event of a topic; answers whether there was one.
    ///
    /// # Errors
    ///
    /// An invalid topic.
    pub async fn clear_retained(&self, topic: &str) -> Result<bool, CallError> {
        Ok(self.commons().bus.clear_retained(topic).map_err(invalid)?)
    }

    /// Subscribes to the events of a pattern.
    ///
    /// # Errors
    ///
    /// An invalid pattern.
    pub async fn subscribe(&self, pattern: &str) -> Result<Subscription, CallError> {
        let pattern: Pattern = pattern.parse().map_err(invalid)?;
        let options = SubscriptionOptions::new(HOST, pattern);
        Ok(self.commons().bus.subscribe(options))
    }

    /// All subscriptions there are now, the oldest first.
    pub fn subscriptions(&self) -> Vec<SubscriptionStatus> {
        let handles = self.commons().bus.subscriptions();
        let status = |handle: &SubscriptionHandle| SubscriptionStatus::of(handle);
        handles.iter().map(status).collect()
    }

    /// The events that could not be handled, the oldest first: the newest 10,000 of 64 MiB in all,
    /// also from before a restart on the same data directory.
    pub async fn dead_letters(&self) -> Vec<Arc<DeadLetter>> {
        self.commons().letters.known().await;
        self.commons().letters.all()
    }

    /// One of the [dead letters](Self::dead_letters).
    ///
    /// # Errors
    ///
    /// If there is none of this number.
    pub async fn dead_letter(&self, id: u64) -> Result<Arc<DeadLetter>, CallError> {
        self.commons().letters.known().await;
        let letter = self.commons().letters.get(id);
        Ok(letter.ok_or_else(|| no_letter(id))?)
    }

    /// Gives the event of a dead letter to its subscription again, and to no other; it comes
    /// before all that wait there, and is no dead letter any more. If it fails again, it is one
    /// again, under another number.
    ///
    /// # Errors
    ///
    /// If there is none of this number, or the plugin does not listen now: then it stays.
    pub async fn replay_dead_letter(&self, id: u64) -> Result<(), CallError> {
        let commons = self.commons();
        commons.letters.known().await;
        let replayed = commons.letters.replay(id, &commons.bus);
        Ok(replayed.map_err(|error| match error {
            NotReplayed::Unknown => no_letter(id),
            NotReplayed::Nobody(letter) => nobody(&letter),
        })?)
    }

    /// Forgets a dead letter.
    ///
    /// # Errors
    ///
    /// If there is none of this number.
    pub async fn forget_dead_letter(&self, id: u64) -> Result<(), CallError> {
        self.commons().letters.known().await;
        let forgotten = self.commons().letters.forget(id);
        Ok(forgotten.map(drop).ok_or_else(|| no_letter(id))?)
    }
}

fn invalid(error: NameError) -> Error {
    Error::new(ErrorKind::InvalidInput, error.to_string())
}

/// An event that was not retained, as who published it sees it.
pub(crate) fn not_retained(error: RetainError) -> Error {
    let kind = match &error {
        RetainError::Topic(_) => ErrorKind::InvalidInput,
        error if error.is_too_large() => ErrorKind::TooLarge,
        _ => ErrorKind::Overloaded,
    };
    let not_retained = Error::new(kind, error.to_string());
    match error.hint() {
        Some(hint) => not_retained.with_hint(hint),
        None => not_retained,
    }
}

fn no_letter(id: u64) -> Error {
    let message = format!("there is no dead letter {id}");
    Error::new(ErrorKind::NotFound, message)
}

fn nobody(letter: &DeadLetter) -> Error {
    let (plugin, pattern) = (&letter.plugin, &letter.subscription);
    let message = format!("plugin `{plugin}` does not listen to `{pattern}` now");
    Error::new(ErrorKind::Unavailable, message).with_hint(format!("start `{plugin}` first"))
}

#[cfg(test)]
mod tests;
