//! Connections that may be open at once: so many in all, and so many from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;
use crate::transport::http::forwarded;

/// The places of a server.
pub(crate) struct ConnectionLimiter {
    all: Arc<Semaphore>,
    taken: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// A connection's place, given back when it is dropped.
pub(crate) struct ConnectionPermit {
    address: Option<IpAddr>,
    taken: Arc<Mutex<HashMap<IpAddr, u32>>>,
    _permit: OwnedSemaphorePermit,
}

impl ConnectionLimiter {
    pub(crate) fn new(config: &Config) -> Self {
        ConnectionLimiter { all: Arc::new(Semaphore::new(config.max_connections as usize)), taken: Arc::default() }
    }

    /// Waits until there is room for one more connection, from wherever.
    pub(crate) async fn acquire(&self) -> OwnedSemaphorePermit {
        self.all.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// The place of a connection from this address; `None` if it has as many as it may have.
    pub(crate) fn admit(
        &self,
        address: IpAddr,
        permit: OwnedSemaphorePermit,
        config: &Config,
    ) -> Option<ConnectionPermit> {
        let taken = self.taken.clone();
        // All clients behind a trusted proxy share its address.
        if forwarded::is_trusted(address, &config.trusted_proxies) {
            return Some(ConnectionPermit { address: None, taken, _permit: permit });
        }
        let mut counts = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= config.max_connections_per_address {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(ConnectionPermit { address: Some(address), taken, _permit: permit })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut counts = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}
