//! What an instance publishes: at once, or when it has taken over.

use octa_loader::{NameError, NameKind, Outcome, Request, Submitted, publish_flag};
use octa_plugin_api::{Error, ErrorKind, Payload};

use super::{
    Facilities, errors, ready,
    trial::{Effect, HeldEvent},
};
use crate::{
    authorize::Wish,
    bus::{Delivery, Draft, JSON, PublishOutcome, Publisher},
    kernel::not_retained,
};

/// What becomes of an event beside that it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retention {
    /// Nothing.
    None,
    /// It is kept as the last of its topic.
    Retain,
    /// There is none; the last of its topic is forgotten.
    Clear,
}

impl Retention {
    pub(super) fn of(request: &Request<'_>) -> Result<Self, Error> {
        match request.flags {
            0 => Ok(Self::None),
            publish_flag::RETAIN => Ok(Self::Retain),
            publish_flag::CLEAR => Ok(Self::Clear),
            unknown => {
                let message =
                    format!("this kernel does not know the flags {unknown:#x} of publish");
                let error = Error::new(ErrorKind::Unsupported, message);
                Err(error.with_hint("the plugin is newer than the kernel: update the kernel"))
            }
        }
    }
}

impl Facilities {
    /// Whether it may publish on a topic; of what is no topic, that is said.
    #[inline]
    pub(super) fn may_publish(&self, topic: &str) -> Result<(), Error> {
        self.may(Wish::Publish(topic)).map_err(|denied| {
            let malformed = NameKind::Topic.check(topic).err();
            malformed.map_or(denied, no_topic)
        })
    }

    #[inline]
    pub(super) fn publish(&self, request: &Request<'_>) -> Result<Submitted, Error> {
        self.may_publish(request.target)?;
        let Some(publisher) = self.publisher.get() else {
            return self.publish_later(request);
        };
        if request.flags != 0 {
            return self.publish_retained(publisher, request);
        }
        let draft = Draft {
            topic: request.target,
            payload: request.payload.clone(),
            content_type: JSON,
            correlation: request.envelope.correlation,
        };
        let outcome = publisher.send(draft).map_err(no_topic)?;
        Ok(self.published(request, outcome))
    }

    #[inline]
    fn published(&self, request: &Request<'_>, outcome: PublishOutcome) -> Submitted {
        match outcome {
            PublishOutcome::Ready(matched) => ready(Outcome::ok(matched as u64, Payload::empty())),
            PublishOutcome::Waiting(delivery) => Submitted::New(self.within(
                request.envelope.remaining,
                "the subscribers that are waited for",
                async move { Outcome::ok(delivery.await as u64, Payload::empty()) },
            )),
        }
    }

    #[cold]
    fn publish_retained(
        &self,
        publisher: &Publisher,
        request: &Request<'_>,
    ) -> Result<Submitted, Error> {
        let event = HeldEvent::of(request, Retention::of(request)?);
        if event.retention() == Retention::Clear {
            let cleared = self.commons.bus.clear_retained(request.target);
            let cleared = cleared.map_err(no_topic)?;
            return Ok(ready(Outcome::ok(u64::from(cleared), Payload::empty())));
        }
        let outcome = publisher.retain(event.draft()).map_err(not_retained)?;
        Ok(self.published(request, outcome))
    }

    /// Nobody knows yet how many subscriptions will match.
    #[cold]
    fn publish_later(&self, request: &Request<'_>) -> Result<Submitted, Error> {
        NameKind::Topic.check(request.target).map_err(no_topic)?;
        let event = HeldEvent::of(request, Retention::of(request)?);
        match self
            .trial
            .hold(Effect::Publish(event), &self.manifest.name)?
        {
            None => Ok(ready(Outcome::ok(0, Payload::empty()))),
            // The trial has just ended: now there is a publisher.
            Some(_) => self.publish(request),
        }
    }

    /// Publishes what was held back; answers the wait for room, if there is one.
    pub(super) fn publish_now(&self, publisher: &Publisher, event: &HeldEvent) -> Option<Delivery> {
        let published = match event.retention() {
            Retention::None => publisher.send(event.draft()).map_err(no_topic),
            Retention::Retain => publisher.retain(event.draft()).map_err(not_retained),
            Retention::Clear => {
                let cleared = self.commons.bus.clear_retained(event.draft().topic);
                cleared.map(|_| PublishOutcome::Ready(0)).map_err(no_topic)
            }
        };
        match published {
            Ok(PublishOutcome::Waiting(delivery)) => Some(delivery),
            Ok(PublishOutcome::Ready(_)) => None,
            // Nobody waits for the answer any more.
            Err(error) => {
                let plugin = &self.manifest.name;
                log::warn!("an event that plugin `{plugin}` held back is not published: {error}");
                None
            }
        }
    }

    /// Waits on behalf of the plugin for room for what was held back.
    pub(super) fn see_through(&self, waiting: Vec<Delivery>) {
        if waiting.is_empty() {
            return;
        }
        let all = async move {
            for delivery in waiting {
                delivery.await;
            }
            Outcome::ok(0, Payload::empty())
        };
        let all = self.within(None, "the subscribers that are waited for", all);
        let plugin = self.manifest.name.clone();
        self.commons.pool.spawn(async move {
            if let Err(error) = all.await.result {
                log::warn!("events of plugin `{plugin}` are dropped: {error}");
            }
        });
    }
}

/// The error of a topic that nobody can have.
#[cold]
fn no_topic(error: NameError) -> Error {
    let hint = error.hint();
    let error = errors::name(error);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}
