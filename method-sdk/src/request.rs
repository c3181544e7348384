//! The request that a method handles.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;

/// The id, client address, time and head of a request: created once, when the request arrives, and shared by the server, the
/// access log and the method.
///
/// Methods read it through [`Request`].
#[non_exhaustive]
pub struct RequestInfo {
    /// The request id.
    pub id: String,
    /// The client's address.
    pub peer: IpAddr,
    /// The time at which the request arrived.
    pub started: Instant,
    /// The HTTP method, the URI and the headers.
    pub head: Parts,
}

impl RequestInfo {
    /// Creates the information about a request that arrives now; for servers.
    pub fn new(id: String, peer: IpAddr, head: Parts) -> Self {
        RequestInfo { id, peer, started: Instant::now(), head }
    }
}

/// The request that a method handles; see [`Handler::request`](crate::Handler::request).
#[derive(Clone)]
pub struct Request {
    info: Arc<RequestInfo>,
    method: &'static str,
    body: Bytes,
}

impl Request {
    /// Creates the request of a call of `method`; for servers.
    pub fn new(info: Arc<RequestInfo>, method: &'static str, body: Bytes) -> Self {
        Request { info, method, body }
    }

    /// Returns the name of the called method, such as `account.login`.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Returns the request id, which is also the `x-request-id` header of the response and a field of the log.
    pub fn id(&self) -> &str {
        &self.info.id
    }

    /// Returns the client's address; behind a trusted proxy, the address that the proxy reports.
    pub fn peer(&self) -> IpAddr {
        self.info.peer
    }

    /// Returns the request headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.info.head.headers
    }

    /// Returns the value of a header, or `None` if the header is missing or is not visible ASCII.
    ///
    /// # Example
    /// ```no_run
    /// # fn example(handler: &method_sdk::Handler) {
    /// let language = handler.request().header("accept-language").unwrap_or("en");
    /// # }
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        self.info.head.headers.get(name)?.to_str().ok()
    }

    /// Returns the body as received, byte for byte; empty for a GET request.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

/// Omits headers and body, which hold session ids, signatures and passwords.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("id", &self.info.id)
            .field("peer", &self.info.peer)
            .finish_non_exhaustive()
    }
}
