//! The number of connections that may be open at the same time: in total, and per client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::http::forwarded;
use crate::client_key::ClientKey;
use crate::config::Config;

/// Limits the connections of a server.
pub(crate) struct ConnectionLimiter {
    slots: Arc<Semaphore>,
    clients: Arc<ClientLimiter>,
}

/// Limits what each client has at the same time: its connections, and its requests through trusted proxies.
struct ClientLimiter {
    limit: u32,
    trusted_proxies: Vec<IpNet>,
    counts: Mutex<HashMap<ClientKey, u32>>,
}

/// The right to keep one connection open; dropping it frees its slot.
pub(crate) struct ConnectionPermit {
    peer: Peer,
    _slot: OwnedSemaphorePermit,
}

/// The other end of a connection.
enum Peer {
    Client {
        _permit: ClientPermit,
    },
    /// All clients behind a trusted proxy share its address: each of their requests counts in place of the connection.
    TrustedProxy(Arc<ClientLimiter>),
}

/// One connection or request of a client, which counts until it is dropped.
pub(crate) struct ClientPermit {
    client: ClientKey,
    limiter: Arc<ClientLimiter>,
}

/// The client has as many connections and requests as it may have.
pub(crate) struct ClientLimitReached;

impl ConnectionLimiter {
    pub(crate) fn new(config: &Config) -> Self {
        let clients = ClientLimiter {
            limit: config.max_connections_per_address,
            trusted_proxies: config.trusted_proxies.clone(),
            counts: Mutex::default(),
        };
        ConnectionLimiter {
            slots: Arc::new(Semaphore::new(config.max_connections as usize)),
            clients: Arc::new(clients),
        }
    }

    /// Waits for a free connection slot.
    pub(crate) async fn acquire(&self) -> OwnedSemaphorePermit {
        self.slots.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Admits a connection from `address` to the slot.
    pub(crate) fn admit(
        &self,
        address: IpAddr,
        slot: OwnedSemaphorePermit,
    ) -> Result<ConnectionPermit, ClientLimitReached> {
        let peer = if self.clients.is_trusted(address) {
            Peer::TrustedProxy(self.clients.clone())
        } else {
            Peer::Client { _permit: self.clients.admit(address)? }
        };
        Ok(ConnectionPermit { peer, _slot: slot })
    }
}

impl ConnectionPermit {
    /// Admits a request of the client with this address. Returns `None` if the connection is already counted for the client, or if the
    /// request is the trusted proxy's own.
    pub(crate) fn admit_request(&self, client: IpAddr) -> Result<Option<ClientPermit>, ClientLimitReached> {
        match &self.peer {
            Peer::TrustedProxy(clients) if !clients.is_trusted(client) => clients.admit(client).map(Some),
            _ => Ok(None),
        }
    }
}

impl ClientLimiter {
    fn is_trusted(&self, address: IpAddr) -> bool {
        forwarded::is_trusted(address, &self.trusted_proxies)
    }

    fn admit(self: &Arc<Self>, address: IpAddr) -> Result<ClientPermit, ClientLimitReached> {
        let client = ClientKey::new(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(client).or_default();
        if *count >= self.limit {
            return Err(ClientLimitReached);
        }
        *count += 1;
        Ok(ClientPermit { client, limiter: self.clone() })
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        let mut counts = self.limiter.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}
