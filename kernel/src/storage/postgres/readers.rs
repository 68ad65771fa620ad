//! Pooled connections that read.

use std::fmt;
use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
    Timeouts,
};
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::super::StorageError;
use super::error::{is_lost, unavailable};
use super::server::Server;
use crate::backoff::backoff;

use super::{FIRST_PAUSE, LONGEST_PAUSE};

/// The parameters of a statement.
pub(super) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Connections that are opened as they are needed.
pub(super) struct Readers {
    pool: Pool,
    server: Server,
}

impl Readers {
    pub(super) fn new(server: Server, size: usize) -> Self {
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
            .build();
        Self {
            // Its only error is a timeout without a runtime.
            pool: pool.unwrap_or_else(|error| unreachable!("{error}")),
            server,
        }
    }

    /// Reads rows; tries again on another connection for as long as callers wait, if one is lost or silent.
    pub(super) async fn read(
        &self,
        statement: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, StorageError> {
        let end = Instant::now() + self.server.patience;
        let mut lost = None;
        for attempt in 1.. {
            match self.attempt(statement, parameters, end).await {
                Ok(rows) => return Ok(rows),
                Err(PoolError::Closed) => return Err(StorageError::Closed),
                Err(PoolError::Backend(error)) if is_lost(&error) => lost = Some(error),
                Err(PoolError::Backend(error)) => {
                    return Err(unavailable(&self.server.store, error));
                }
                Err(_) => {}
            }
            let pause = Instant::now() + backoff(FIRST_PAUSE, LONGEST_PAUSE, attempt, 0);
            if pause >= end {
                break;
            }
            tokio::time::sleep_until(pause).await;
        }
        Err(match lost {
            Some(error) => unavailable(&self.server.store, error),
            None => self.server.silent(),
        })
    }

    async fn attempt(
        &self,
        statement: &str,
        parameters: Parameters<'_>,
        end: Instant,
    ) -> Result<Vec<Row>, PoolError> {
        let silent = PoolError::Timeout(TimeoutType::Wait);
        let Ok(client) = tokio::time::timeout_at(end, self.pool.get()).await else {
            return Err(silent);
        };
        let client = client?;
        let begun = Instant::now();
        let reading = async {
            let statement = client.prepare_cached(statement).await?;
            client.query(&statement, parameters).await
        };
        let enough = end.min(begun + self.server.silence);
        match tokio::time::timeout_at(enough, reading).await {
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

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers")
            .field("status", &self.pool.status())
            .finish_non_exhaustive()
    }
}
