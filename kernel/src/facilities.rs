//! What one plugin instance reaches of the kernel: each operation, after its permission.

mod decided;
mod errors;
mod subscriptions;
mod values;

use std::{sync::Arc, task::Context, time::Duration};

use octa_loader::{
    BoxFuture, Envelope, Host, LogLine, Manifest, Outcome, Request, Submitted, operation,
};
use octa_plugin_api::{Error, ErrorKind, Payload};

use crate::{
    authorize::{Wish, authorize},
    bus::{Bus, Draft, JSON, PublishOutcome, Publisher},
    config::Allow,
    pool::Pool,
    services::{Begun, Route, Services},
    state::State,
    storage::Storage,
    time::Clock,
};
use decided::Decided;
use subscriptions::Subscriptions;

/// Everything that plugins can reach, shared by the whole kernel.
#[derive(Debug, Clone)]
pub(crate) struct Commons {
    pub(crate) bus: Bus,
    pub(crate) services: Services,
    pub(crate) state: State,
    pub(crate) storage: Storage,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) pool: Pool,
    pub(crate) runtime: tokio::runtime::Handle,
}

/// The host of one instance.
pub(crate) struct Facilities {
    commons: Commons,
    manifest: Arc<Manifest>,
    allow: Allow,
    publisher: Publisher,
    subscriptions: Subscriptions,
    /// What was granted once is granted for the life of the instance.
    routes: Decided<Arc<Route>>,
    granted: Decided<()>,
}

impl Facilities {
    pub(crate) fn new(commons: Commons, manifest: Arc<Manifest>, allow: Allow) -> Arc<Self> {
        let publisher = commons.bus.publisher(&manifest.name);
        Arc::new(Self {
            commons,
            manifest,
            allow,
            publisher,
            subscriptions: Subscriptions::default(),
            routes: Decided::default(),
            granted: Decided::default(),
        })
    }

    /// Ends the subscriptions that the instance made while it ran.
    pub(crate) fn close(&self) {
        self.subscriptions.clear();
    }

    fn may(&self, wish: Wish<'_>) -> Result<(), Error> {
        let (reach, target) = wish.parts();
        self.granted.get_or(reach.key(), target, || {
            authorize(&self.manifest, &self.allow, wish)
                .map(drop)
                .map_err(errors::denied)
        })
    }

    fn answer(&self, request: &Request<'_>, cx: &mut Context<'_>) -> Result<Submitted, Error> {
        match request.operation {
            operation::PUBLISH => self.publish(request),
            operation::CALL => self.call(request, cx),
            operation::SUBSCRIBE => self.subscribe(request),
            operation::UNSUBSCRIBE => Ok(ready(self.subscriptions.end(request.number))),
            operation::NEXT_EVENT => self.subscriptions.next(request.number),
            operation::STATE_GET..=operation::STATE_LIST => {
                self.may(Wish::State(request.target))?;
                values::state(&self.commons.state, request).map(ready)
            }
            operation::STORAGE_GET..=operation::STORAGE_BATCH => {
                self.may(Wish::Storage(request.target))?;
                values::storage(&self.commons.storage, request)
            }
            operation::SLEEP => Ok(self.sleep(request.number)),
            operation::NOW => Ok(ready(number(self.commons.clock.wall()))),
            operation::MONOTONIC => Ok(ready(number(self.commons.clock.monotonic()))),
            unknown => {
                let message = format!("this kernel does not know the operation {unknown:#06x}");
                let error = Error::new(ErrorKind::Unsupported, message);
                Err(error.with_hint("the plugin is newer than the kernel: update the kernel"))
            }
        }
    }

    fn publish(&self, request: &Request<'_>) -> Result<Submitted, Error> {
        self.may(Wish::Publish(request.target))?;
        let draft = Draft {
            topic: request.target,
            payload: request.payload.clone(),
            content_type: JSON,
            correlation: request.envelope.correlation,
        };
        match self.publisher.send(draft).map_err(errors::name)? {
            PublishOutcome::Ready(matched) => {
                Ok(ready(Outcome::ok(matched as u64, Payload::empty())))
            }
            PublishOutcome::Waiting(delivery) => Ok(Submitted::New(self.within(
                request.envelope.remaining,
                "the subscribers that are waited for",
                async move { Outcome::ok(delivery.await as u64, Payload::empty()) },
            ))),
        }
    }

    fn call(&self, request: &Request<'_>, cx: &mut Context<'_>) -> Result<Submitted, Error> {
        let name = request.target;
        let route = self.routes.get_or("call", name, || {
            authorize(&self.manifest, &self.allow, Wish::Call(name)).map_err(errors::denied)?;
            self.commons.services.find(name)
        })?;
        let envelope = Envelope {
            caller: &self.manifest.name,
            ..request.envelope
        };
        let correlation = envelope.correlation;
        Ok(
            match self
                .commons
                .services
                .begin(&route, &envelope, correlation, &request.payload, cx)
            {
                Begun::Ready(outcome) => ready(outcome),
                Begun::Pending(call) => Submitted::Waiting(Box::pin(call)),
            },
        )
    }

    fn subscribe(&self, request: &Request<'_>) -> Result<Submitted, Error> {
        self.may(Wish::Subscribe(request.target))?;
        let (bus, plugin) = (&self.commons.bus, &self.manifest.name);
        let id = self
            .subscriptions
            .begin(bus, plugin, request.target, request.number)?;
        Ok(ready(Outcome::ok(id, Payload::empty())))
    }

    fn sleep(&self, nanos: u64) -> Submitted {
        let sleep = self.commons.clock.sleep(Duration::from_nanos(nanos));
        Submitted::New(Box::pin(async move {
            sleep.await;
            Outcome::ok(0, Payload::empty())
        }))
    }

    /// The same future, given up when the time of the call is over, or that of a call where there
    /// is none: a handler may publish what only itself makes room for.
    fn within(
        &self,
        limit: Option<Duration>,
        what: &'static str,
        future: impl Future<Output = Outcome> + Send + 'static,
    ) -> BoxFuture<Outcome> {
        let limit = limit.unwrap_or(self.commons.services.default_deadline());
        let timer = self.commons.clock.sleep(limit);
        Box::pin(async move {
            tokio::select! {
                outcome = future => outcome,
                () = timer => {
                    let message = format!("{what} did not get ready within {limit:?}");
                    Error::new(ErrorKind::Deadline, message).into()
                }
            }
        })
    }
}

fn ready(outcome: Outcome) -> Submitted {
    Submitted::Ready(outcome)
}

fn number(time: Duration) -> Outcome {
    Outcome::ok(
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
        Payload::empty(),
    )
}

impl Host for Facilities {
    fn submit(&self, request: &Request<'_>, cx: &mut Context<'_>) -> Submitted {
        self.answer(request, cx)
            .unwrap_or_else(|error| ready(error.into()))
    }

    fn drive(&self, future: BoxFuture<()>) {
        self.commons.pool.spawn(future);
    }

    fn run_task(&self, task: BoxFuture<()>) {
        self.commons.pool.spawn(task);
    }

    fn log(&self, line: &LogLine<'_>) {
        // The plugin's own modules follow its name, so that a filter can tell plugins apart.
        let target = format!("{}::{}", self.manifest.name, line.target);
        log::logger().log(
            &log::Record::builder()
                .level(line.level)
                .target(&target)
                .args(format_args!("{}", line.message))
                .file(Some(line.file).filter(|file| !file.is_empty()))
                .line(Some(line.line).filter(|line| *line > 0))
                .build(),
        );
    }
}
