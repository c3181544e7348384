//! The head of a request, and request ids.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderName;
use http::request::Parts;
use method_sdk::host::RequestInfo;

/// The header of a request id, in requests and responses.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is accepted from a client, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// Assigns request ids: a random number drawn at the server's start, and a counter.
pub(crate) struct RequestIds {
    /// The random number in hexadecimal, and a hyphen.
    prefix: String,
    next: AtomicU64,
}

impl RequestIds {
    /// # Errors
    /// Returns an error if the operating system provides no random bytes.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        Ok(RequestIds { prefix: format!("{:016x}-", getrandom::u64()?), next: AtomicU64::new(1) })
    }

    /// Creates the `RequestInfo` of a request, with the client's request id if it is valid and a new one otherwise.
    pub(crate) fn assign(&self, head: Parts, peer: IpAddr) -> Arc<RequestInfo> {
        let from_client = head.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| is_valid(id));
        let id = from_client.map_or_else(|| self.next_id(), str::to_owned);
        Arc::new(RequestInfo::new(id, peer, head))
    }

    fn next_id(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut digits = [0; 2 * size_of::<u64>()];
        let number = base16ct::lower::encode_str(&number, &mut digits).expect("a byte is two digits");
        // Not `format!`, which takes several times as many instructions.
        [&self.prefix, number.trim_start_matches('0')].concat()
    }
}

/// Returns `true` for 1 to 128 ASCII letters, digits, dots, underscores and hyphens.
fn is_valid(id: &str) -> bool {
    let is_valid_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_REQUEST_ID_BYTES).contains(&id.len()) && id.bytes().all(is_valid_byte)
}
