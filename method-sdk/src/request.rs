//! What came in: the parts of a request that a method may look at.

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;
use http::HeaderMap;

/// The request a method is answering; see [`Handler::request`](crate::Handler::request).
#[derive(Clone)]
pub struct Request {
    /// The name of the method, such as `account.login`.
    pub method: &'static str,
    /// The request's headers, names in lower case.
    pub headers: HeaderMap,
    /// The client's address: behind a trusted proxy the one that the proxy names.
    pub peer: IpAddr,
    /// The request's id, as in the `x-request-id` header of the answer and in the log.
    pub id: String,
    /// The request's body, byte for byte as it came in (with GET: empty).
    pub body: Bytes,
}

impl Request {
    /// A header's value, if it is there and is visible ASCII.
    ///
    /// # Example
    /// ```no_run
    /// # fn example(handler: &method_sdk::Handler) {
    /// let language = handler.request().header("accept-language").unwrap_or("en");
    /// # }
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Without headers and body: those hold session ids, signatures and passwords.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { method, peer, id, .. } = self;
        f.debug_struct("Request").field("method", method).field("peer", peer).field("id", id).finish_non_exhaustive()
    }
}
