//! The state that all requests of a server share.

use std::net::IpAddr;
use std::sync::Arc;

use crate::call::Dispatcher;
use crate::call::in_flight::DetachedCalls;
use crate::config::Config;
use crate::log::Repeated;
use crate::transport::http::docs::document::DocumentCache;
use crate::transport::http::request::RequestIds;
use crate::transport::memory::MemoryBudget;

/// The configuration, the dispatcher with its methods and accounts, the detached calls, and the request ids.
pub(crate) struct AppState {
    pub(crate) config: Config,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) detached_calls: Arc<DetachedCalls>,
    pub(crate) memory: Arc<MemoryBudget>,
    pub(crate) request_ids: RequestIds,
    pub(crate) document: DocumentCache,
    /// The requests that hyper could not read, by the remote addresses of their sockets.
    pub(crate) unreadable_requests: Repeated<IpAddr>,
}
