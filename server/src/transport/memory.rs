//! The memory of request bodies and responses: a budget of the server, and a share of it for each client.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::client_key::ClientKey;

/// The part of the budget that one client may use.
const CLIENT_SHARE: usize = 4;

/// The bytes that a client may use while others use the whole budget, so that floods do not keep small calls out.
const CLIENT_MINIMUM: usize = 16 * 1024;

/// The bytes in use of one client.
type ClientBytes = Arc<AtomicUsize>;

/// The budget of a server.
pub(crate) struct MemoryBudget {
    used: AtomicUsize,
    max: usize,
    /// At least the size of a body, so that a client can send one.
    max_of_client: usize,
    clients: Mutex<HashMap<ClientKey, Weak<AtomicUsize>>>,
}

impl MemoryBudget {
    pub(crate) fn new(max: usize, max_body: usize) -> Arc<Self> {
        let max_of_client = (max / CLIENT_SHARE).max(max_body);
        Arc::new(MemoryBudget { used: AtomicUsize::new(0), max, max_of_client, clients: Mutex::default() })
    }

    /// Returns the account of a client, which its connections share.
    pub(crate) fn account(self: &Arc<Self>, client: ClientKey) -> MemoryAccount {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.get(&client).and_then(Weak::upgrade);
        let bytes = known.unwrap_or_else(|| {
            // Clients that have disconnected are removed when there are many.
            if clients.len() == clients.capacity() {
                clients.retain(|_, bytes| bytes.strong_count() > 0);
            }
            let bytes = ClientBytes::default();
            clients.insert(client, Arc::downgrade(&bytes));
            bytes
        });
        MemoryAccount { budget: self.clone(), bytes }
    }
}

/// The memory that one client uses.
#[derive(Clone)]
pub(crate) struct MemoryAccount {
    budget: Arc<MemoryBudget>,
    bytes: ClientBytes,
}

impl MemoryAccount {
    /// Returns the account of another client of the same budget.
    pub(crate) fn of_other_client(&self, client: ClientKey) -> MemoryAccount {
        self.budget.account(client)
    }

    /// Returns `true` if the client has used its share, or all clients the budget.
    pub(crate) fn is_exhausted(&self) -> bool {
        let of_client = self.bytes.load(Ordering::Relaxed);
        let is_budget_used = self.budget.used.load(Ordering::Relaxed) >= self.budget.max;
        of_client >= self.budget.max_of_client || (is_budget_used && of_client >= CLIENT_MINIMUM)
    }

    /// Adds bytes that are in memory already, as a response is.
    pub(crate) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.budget.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds bytes unless the client would exceed its share, or all clients the budget. Returns `true` if they are added.
    pub(crate) fn try_add(&self, bytes: usize) -> bool {
        let of_client = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let of_all = self.budget.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let fits = of_client <= self.budget.max_of_client && (of_all <= self.budget.max || of_client <= CLIENT_MINIMUM);
        if !fits {
            self.remove(bytes);
        }
        fits
    }

    pub(crate) fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> ClientKey {
        ClientKey::new(address.parse().unwrap())
    }

    #[test]
    fn a_client_has_a_share_and_all_clients_have_the_budget() {
        let budget = MemoryBudget::new(1_000_000, 10);
        let accounts = [1, 2, 3, 4, 5].map(|n| budget.account(client(&format!("192.0.2.{n}"))));
        let [first, .., last] = &accounts;
        assert!(first.try_add(250_000) && !first.try_add(1) && first.is_exhausted());
        assert!(!budget.account(client("192.0.2.1")).try_add(1), "another connection of the client");
        assert!(accounts[1..4].iter().all(|account| account.try_add(250_000)));
        assert!(!last.try_add(CLIENT_MINIMUM + 1), "the budget");
        first.remove(250_000);
        assert!(last.try_add(250_000) && !first.try_add(CLIENT_MINIMUM + 1));
    }

    #[test]
    fn a_small_call_is_accepted_while_others_use_the_whole_budget() {
        let budget = MemoryBudget::new(1_000_000, 1_000_000);
        assert!(budget.account(client("192.0.2.1")).try_add(1_000_000));
        let other = budget.account(client("192.0.2.2"));
        assert!(!other.is_exhausted() && other.try_add(CLIENT_MINIMUM) && other.is_exhausted() && !other.try_add(1));
    }

    #[test]
    fn a_client_can_always_send_one_body_if_nothing_else_is_in_memory() {
        let budget = MemoryBudget::new(100, 90);
        assert!(budget.account(client("192.0.2.1")).try_add(90));
    }

    #[test]
    fn clients_that_have_disconnected_are_forgotten() {
        let budget = MemoryBudget::new(1000, 10);
        for n in 0..10_000_u32 {
            budget.account(ClientKey::new(std::net::Ipv4Addr::from(n).into()));
        }
        assert!(budget.clients.lock().unwrap().len() < 100);
    }
}
