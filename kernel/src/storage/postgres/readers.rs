//! Pooled connections that read.

use std::fmt;

use deadpool_postgres::{
    Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
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

    /// Reads rows; tries again on another connection for as long as callers wait, if one is lost.
    pub(super) async fn read(
        &self,
        statement: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, StorageError> {
        let mut lost = None;
        let reading = async {
            for attempt in 1.. {
                match self.attempt(statement, parameters).await {
                    Err(PoolError::Backend(error)) if is_lost(&error) => lost = Some(error),
                    Err(PoolError::Backend(error)) => {
                        return Err(unavailable(&self.server.store, error));
                    }
                    Err(PoolError::Closed) => return Err(StorageError::Closed),
                    Err(_) => return Err(self.server.silent()),
                    Ok(rows) => return Ok(rows),
                }
                let pause = backoff(FIRST_PAUSE, LONGEST_PAUSE, attempt, 0);
                tokio::time::sleep(pause).await;
            }
            Err(self.server.silent())
        };
        match tokio::time::timeout(self.server.patience, reading).await {
            Ok(read) => read,
            Err(_) => Err(match lost {
                Some(error) => unavailable(&self.server.store, error),
                None => self.server.silent(),
            }),
        }
    }

    async fn attempt(
        &self,
        statement: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, PoolError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(statement).await?;
        let reading = client.query(&statement, parameters);
        match tokio::time::timeout(self.server.silence, reading).await {
            Ok(rows) => Ok(rows?),
            Err(_) => {
                // It would keep the next reader waiting.
                drop(deadpool_postgres::Object::take(client));
                Err(PoolError::Timeout(deadpool_postgres::TimeoutType::Wait))
            }
        }
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
