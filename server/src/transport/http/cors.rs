//! Cross-origin requests (CORS): the exact origins whose scripts may call from a browser.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue};

/// Returns the origin of a request if it is allowed.
pub(crate) fn allowed_origin<'a>(request: &'a HeaderMap, allow_origins: &[String]) -> Option<&'a HeaderValue> {
    let origin = request.get(ORIGIN)?;
    allow_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then_some(origin)
}

/// Returns `true` if an OPTIONS request is a preflight.
pub(crate) fn is_preflight(request: &HeaderMap) -> bool {
    request.contains_key(ORIGIN) && request.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Adds the CORS headers to a response. If any origin is allowed, `Vary` tells caches that responses depend on the origin.
pub(crate) fn apply(response: &mut HeaderMap, request: &HeaderMap, allow_origins: &[String]) {
    if allow_origins.is_empty() {
        return;
    }
    response.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed_origin(request, allow_origins) {
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-hmac, x-request-id"));
    }
}

/// Returns the headers of the response to a preflight of an allowed origin.
pub(crate) fn preflight_headers() -> HeaderMap {
    HeaderMap::from_iter([
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST")),
        (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type, x-hmac, x-request-id, x-session-id")),
        (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600")),
    ])
}
