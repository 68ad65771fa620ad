//! Pooled connections that read.
//!
//! A connection lies in a task, never in the future of who asked: that one may be polled once and then be kept, and
//! all would wait for it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
    TimeoutType, Timeouts,
};
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::super::StorageError;
use super::error::{is_lost, unavailable};
use super::server::Server;
use super::shared::Shared;
use super::within::Within;
use super::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::backoff::backoff;

/// What is to be read: a statement and its parameters.
#[derive(Debug)]
pub(super) struct Reading {
    statement: Arc<str>,
    parameters: Vec<Box<dyn ToSql + Send + Sync>>,
}

impl Reading {
    pub(super) fn of(statement: &Arc<str>) -> Self {
        Self {
            statement: statement.clone(),
            parameters: Vec::new(),
        }
    }

    /// Gives the next parameter.
    #[must_use]
    pub(super) fn with(mut self, parameter: impl ToSql + Send + Sync + 'static) -> Self {
        self.parameters.push(Box::new(parameter));
        self
    }
}

/// Why an attempt did not succeed.
enum Unread {
    /// Another one would not either.
    Refused(StorageError),
    /// Another one may.
    Lost(StorageError),
    /// The server said nothing.
    Silent,
}

/// Connections that are opened as they are needed.
pub(super) struct Readers {
    pool: Pool,
    server: Server,
    shared: Arc<Shared>,
    within: Within,
}

impl Readers {
    pub(super) fn new(server: Server, size: usize, shared: Arc<Shared>, within: Within) -> Self {
        let mut config = server.config.clone();
        config.application_name("octa reader");
        let manager = ManagerConfig {
            // Whether it is there is seen by using it.
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(config, server.tls.clone(), manager);
        let timeouts = Timeouts {
            wait: Some(server.patience),
            create: Some(server.silence),
            recycle: Some(server.silence),
        };
        let pool = Pool::builder(manager)
            .max_size(size.max(1))
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .post_create(begins_with(&server))
            .build();
        Self {
            // Its only error is a timeout without a runtime.
            pool: pool.unwrap_or_else(|error| unreachable!("{error}")),
            server,
            shared,
            within,
        }
    }

    /// Reads rows; tries again on another connection for as long as callers wait, if one is lost or silent.
    pub(super) async fn read(self: &Arc<Self>, reading: Reading) -> Result<Vec<Row>, StorageError> {
        let readers = self.clone();
        let task = self
            .within
            .task(async move { readers.attempts(&reading).await });
        task.await.unwrap_or(Err(StorageError::Closed))
    }

    async fn attempts(&self, reading: &Reading) -> Result<Vec<Row>, StorageError> {
        let end = Instant::now() + self.server.patience;
        let mut reason = None;
        for attempt in 1.. {
            match self.admitted(reading, end).await {
                Ok(rows) => return Ok(rows),
                Err(Unread::Refused(error)) => return Err(error),
                Err(Unread::Lost(error)) => reason = Some(error),
                Err(Unread::Silent) => {}
            }
            let pause = Instant::now() + backoff(FIRST_PAUSE, LONGEST_PAUSE, attempt, 0);
            if pause >= end {
                break;
            }
            tokio::time::sleep_until(pause).await;
        }
        Err(reason.unwrap_or_else(|| self.server.silent()))
    }

    /// One attempt, unless another has the database alone.
    async fn admitted(&self, reading: &Reading, end: Instant) -> Result<Vec<Row>, Unread> {
        if let Some(busy) = self.shared.busy().filter(|_| !self.is_closed()) {
            return Err(Unread::Lost(busy));
        }
        let error = match self.attempt(reading, end).await {
            Ok(rows) => return Ok(rows),
            Err(PoolError::Closed) => return Err(Unread::Refused(StorageError::Closed)),
            Err(PoolError::Backend(error)) => error,
            Err(PoolError::PostCreateHook(HookError::Backend(error))) => error,
            Err(_) => return Err(Unread::Silent),
        };
        let unread = match is_lost(&error) {
            true => Unread::Lost,
            false => Unread::Refused,
        };
        Err(unread(unavailable(&self.server.store, error)))
    }

    async fn attempt(&self, reading: &Reading, end: Instant) -> Result<Vec<Row>, PoolError> {
        let silent = PoolError::Timeout(TimeoutType::Wait);
        let Ok(client) = tokio::time::timeout_at(end, self.pool.get()).await else {
            return Err(silent);
        };
        let client = client?;
        let begun = Instant::now();
        let rows = async {
            let statement = client.prepare_cached(&reading.statement).await?;
            let parameters = reading.parameters.iter().map(|it| &**it as _);
            let parameters: Vec<&(dyn ToSql + Sync)> = parameters.collect();
            client.query(&statement, &parameters).await
        };
        let enough = end.min(begun + self.server.silence);
        match tokio::time::timeout_at(enough, rows).await {
            Ok(rows) => Ok(rows?),
            Err(_) => {
                self.give_up(client, begun.elapsed());
                Err(silent)
            }
        }
    }

    /// Ends a connection that would keep the next reader waiting, and those that may be cut off like it: which
    /// lay there unused since.
    fn give_up(&self, client: Object, waited: Duration) {
        drop(Object::take(client));
        self.pool.retain(|_, metrics| metrics.last_used() < waited);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }
}

/// What each new connection does first.
fn begins_with(server: &Server) -> Hook {
    let (settings, silence) = (Arc::<str>::from(&*server.settings), server.silence);
    Hook::async_fn(move |client, _| {
        let settings = settings.clone();
        Box::pin(async move {
            let setting = client.batch_execute(&settings);
            match tokio::time::timeout(silence, setting).await {
                Ok(done) => done.map_err(HookError::Backend),
                Err(_) => Err(HookError::message("the server is silent")),
            }
        })
    })
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers")
            .field("status", &self.pool.status())
            .finish_non_exhaustive()
    }
}
