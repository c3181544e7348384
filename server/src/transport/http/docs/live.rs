//! The document in development mode: it has rustc's words about methods that do not compile, and clients wait for its next version.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep_until};

use super::document::{Document, is_current, openapi};
use crate::call::live_methods::LiveMethods;
use crate::transport::guard::RequestGuard;

/// The request header with the seconds that a client waits for another version (RFC 7240).
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The longest wait: shorter than the time limits of most proxies.
const MAX_WAIT: Duration = Duration::from_secs(25);

/// Returns the document; `None` until the files of the methods have been read. If the client has the current version (`If-None-Match`) and
/// prefers to wait (`Prefer: wait=SECONDS`), waits for the next one, or for the time to be up or the server to shut down.
pub(super) async fn document(methods: &LiveMethods, headers: &HeaderMap, guard: &RequestGuard) -> Option<Document> {
    let deadline = Instant::now() + preferred_wait(headers);
    loop {
        let mut updates = methods.updates();
        let document = current(methods)?;
        if !is_current(headers, &document.etag) {
            return Some(document);
        }
        tokio::select! {
            // Cannot fail: the sender lives as long as the methods.
            _ = updates.changed() => {}
            () = sleep_until(deadline) => return Some(document),
            () = guard.draining() => return Some(document),
        }
    }
}

fn current(methods: &LiveMethods) -> Option<Document> {
    let mut document = openapi(&*methods.contract()?);
    let states = methods.states();
    let failures: Map<String, Value> =
        states.failures().map(|(name, failure)| (name.to_owned(), failure.message.as_str().into())).collect();
    document["x-development"] = json!({ "failures": failures });
    Some(Document::new(&document))
}

fn preferred_wait(headers: &HeaderMap) -> Duration {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split(','));
    let seconds = preferences.find_map(|preference| preference.trim().strip_prefix("wait=")?.parse().ok());
    seconds.map(Duration::from_secs).unwrap_or_default().min(MAX_WAIT)
}
