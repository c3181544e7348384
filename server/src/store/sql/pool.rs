//! Connections to a SQL database: a pool, and some idle connections beside it that need no ping.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::{ConnectOptions as _, Connection, Database, Pool, Result};
use tokio::time::timeout;

use super::dialect::Dialect;
use crate::config::Config;
use crate::store::guard::connect_timeout;

pub(super) type Options<D> = <<D as Database>::Connection as Connection>::Options;

/// The connections of a store.
pub(super) struct ConnectionPool<D: Database> {
    pool: Pool<D>,
    /// Connections that do not return to the pool, each with the time of its last use: the pool pings every connection that it gets
    /// back, which would be a second round trip for every look-up of a session. At most half of all connections, so that some are
    /// left for methods.
    idle: Mutex<Vec<(PoolConnection<D>, Instant)>>,
    max_idle: usize,
}

impl<D: Dialect> ConnectionPool<D> {
    /// Creates a pool that connects on demand.
    pub(super) fn new(config: &Config, options: Options<D>) -> Self {
        let pool = PoolOptions::new()
            .max_connections(config.database_connections)
            .acquire_timeout(connect_timeout(config))
            .test_before_acquire(false)
            .after_connect(|connection, _| Box::pin(D::after_connect(connection)))
            .before_acquire(|connection, state| Box::pin(async move { Ok(is_alive(connection, state.idle_for).await) }))
            .connect_lazy_with(options);
        ConnectionPool { pool, idle: Mutex::default(), max_idle: config.database_connections as usize / 2 }
    }

    /// Returns the pool behind the idle connections.
    pub(super) fn inner(&self) -> &Pool<D> {
        &self.pool
    }

    /// Opens a connection outside the pool. Its error says why connecting failed; the pool's says only that the time is over, because
    /// the pool retries until then.
    pub(super) async fn connect(&self) -> Result<D::Connection> {
        self.pool.connect_options().connect().await
    }

    /// Leases an idle connection, or else one of the pool.
    pub(super) async fn acquire(&self) -> Result<LeasedConnection<D>> {
        loop {
            let Some((connection, last_used)) = self.idle().pop() else { break };
            let mut leased = LeasedConnection(Some(connection));
            if is_alive(&mut *leased, last_used.elapsed()).await {
                return Ok(leased);
            }
        }
        Ok(LeasedConnection(Some(self.pool.acquire().await?)))
    }

    /// Takes a connection back for the next use. Nothing may be pending on it.
    pub(super) fn release(&self, mut leased: LeasedConnection<D>) {
        let mut idle = self.idle();
        if idle.len() < self.max_idle {
            idle.extend(leased.0.take().map(|connection| (connection, Instant::now())));
        } else {
            drop(leased.0.take()); // to the pool
        }
    }

    /// Closes every connection after its current use.
    pub(super) async fn close(&self) {
        self.idle().clear();
        self.pool.close().await;
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(PoolConnection<D>, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns `true` if a connection that has been idle for this long is still usable: the database may have restarted meanwhile.
async fn is_alive<C: Connection>(connection: &mut C, idle: Duration) -> bool {
    const TRUSTED: Duration = Duration::from_secs(1);
    const PING_TIMEOUT: Duration = Duration::from_secs(1);
    idle < TRUSTED || timeout(PING_TIMEOUT, connection.ping()).await.is_ok_and(|pong| pong.is_ok())
}

/// A connection in use. Dropping it instead of releasing it closes the connection: an answer may be on its way, or a transaction open.
pub(super) struct LeasedConnection<D: Database>(Option<PoolConnection<D>>);

impl<D: Database> Deref for LeasedConnection<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        self.0.as_ref().expect(LEASED)
    }
}

impl<D: Database> DerefMut for LeasedConnection<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        self.0.as_mut().expect(LEASED)
    }
}

const LEASED: &str = "only `release` takes the connection, and it consumes the lease";

impl<D: Database> Drop for LeasedConnection<D> {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.close_on_drop();
        }
    }
}
