//! The number of connections that may be open at the same time: in total, and per client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::http::forwarded;
use crate::client_key::ClientKey;
use crate::config::Config;

/// The number of open connections of each client.
type ConnectionCounts = Mutex<HashMap<ClientKey, u32>>;

/// Limits the connections of a server.
pub(crate) struct ConnectionLimiter {
    slots: Arc<Semaphore>,
    per_client: Arc<ConnectionCounts>,
}

/// The right to keep one connection open; dropping it frees its slot.
pub(crate) struct ConnectionPermit {
    /// The client that the connection is counted for, and the counts.
    count: Option<(ClientKey, Arc<ConnectionCounts>)>,
    _slot: OwnedSemaphorePermit,
}

impl ConnectionLimiter {
    pub(crate) fn new(config: &Config) -> Self {
        ConnectionLimiter {
            slots: Arc::new(Semaphore::new(config.max_connections as usize)),
            per_client: Arc::default(),
        }
    }

    /// Waits for a free connection slot.
    pub(crate) async fn acquire(&self) -> OwnedSemaphorePermit {
        self.slots.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Admits a connection from `address` to the slot, or returns `None` if the client has reached its limit.
    pub(crate) fn admit(
        &self,
        address: IpAddr,
        slot: OwnedSemaphorePermit,
        config: &Config,
    ) -> Option<ConnectionPermit> {
        // All clients behind a trusted proxy share its address.
        if forwarded::is_trusted(address, &config.trusted_proxies) {
            return Some(ConnectionPermit { count: None, _slot: slot });
        }
        let client = ClientKey::new(address);
        let mut counts = self.per_client.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(client).or_default();
        if *count >= config.max_connections_per_address {
            return None;
        }
        *count += 1;
        Some(ConnectionPermit { count: Some((client, self.per_client.clone())), _slot: slot })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let Some((client, counts)) = &self.count else { return };
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(client);
            }
        }
    }
}
