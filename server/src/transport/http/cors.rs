//! Browsers of strangers: which pages' scripts may call (CORS), by exact origin.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue};

/// The origin of a request, if it is one of those allowed.
pub(crate) fn allowed(headers: &HeaderMap, origins: &[String]) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

/// Whether a request with the method OPTIONS asks what a script may do.
pub(crate) fn is_preflight(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Marks an answer, if any origins are allowed at all: a cache must know that it depends on the origin.
pub(crate) fn apply(answer: &mut HeaderMap, origin: Option<HeaderValue>, origins: &[String]) {
    if origins.is_empty() {
        return;
    }
    answer.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-hmac, x-request-id"));
    }
}

/// What a preflight of an allowed origin is told.
pub(crate) fn preflight() -> HeaderMap {
    HeaderMap::from_iter([
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST")),
        (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type, x-hmac, x-request-id, x-session-id")),
        (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600")),
    ])
}
