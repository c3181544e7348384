//! The guard of a database: an up-to-date schema and a time limit for every use.

use std::pin::pin;
use std::time::Duration;

use method_sdk::{Error, Result};
use tokio::sync::OnceCell;

use crate::config::Config;
use crate::timeout::timeout;

/// Runs migrations once, before the first use of a database, and limits the time of every use.
pub(super) struct DatabaseGuard {
    migrated: OnceCell<()>,
    timeout: Duration,
}

impl DatabaseGuard {
    pub(super) fn new(config: &Config) -> Self {
        DatabaseGuard { migrated: OnceCell::new(), timeout: config.database_timeout }
    }

    /// Runs `work`, after `migrations` if those have not succeeded yet. `database_timeout` limits both together.
    ///
    /// # Errors
    /// Returns error 1016 after the timeout, and otherwise the error of `migrations` or `work`.
    pub(super) async fn run<T, M: Future<Output = Result<()>>>(
        &self,
        migrations: impl FnOnce() -> M,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let migrated_work = pin!(async {
            if !self.migrated.initialized() {
                Box::pin(self.migrated.get_or_try_init(migrations)).await?;
            }
            work.await
        });
        timeout(self.timeout, migrated_work).await.unwrap_or_else(|_| {
            Err(Error::unavailable(format!("the database did not answer within {:?}", self.timeout)))
        })
    }
}

/// Returns the time limit of connecting: a part of `database_timeout`, so that the database's own error comes first.
pub(super) fn connect_timeout(config: &Config) -> Duration {
    config.database_timeout * 4 / 5
}
