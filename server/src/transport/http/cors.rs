//! Cross-origin requests (CORS): the exact origins whose scripts may call from a browser.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The request headers that the server itself reads.
const REQUEST_HEADERS: [&str; 4] = ["content-type", "x-hmac", "x-request-id", "x-session-id"];

/// The response headers that scripts may read, beside those that a method exposes.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("retry-after, x-hmac, x-request-id, x-simpleapi-stale");

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

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
        response.append(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    }
}

/// Returns the headers of the response to a preflight of an allowed origin. `allow_headers` are request headers beside the server's own.
pub(crate) fn preflight_headers(allow_headers: &[HeaderName]) -> HeaderMap {
    let allowed = REQUEST_HEADERS.into_iter().chain(allow_headers.iter().map(HeaderName::as_str));
    let allowed = allowed.collect::<Vec<_>>().join(", ");
    HeaderMap::from_iter([
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST")),
        (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::try_from(allowed).expect("names of headers are legal values")),
        (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600")),
    ])
}

/// Returns `true` if a browser says that a page of another site sends the request, unless its origin is allowed.
///
/// A request without `Sec-Fetch-Site` and `Origin` comes from a program, or from a browser that sends neither: it passes. This is the
/// algorithm of Go's `http.CrossOriginProtection`.
pub(crate) fn is_cross_site(request: &HeaderMap, host: &[u8], allow_origins: &[String]) -> bool {
    let site = request.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
    let is_same_site = match (site, request.get(ORIGIN)) {
        (Some(site), _) => site == b"same-origin" || site == b"none",
        (None, None) => true,
        (None, Some(origin)) => {
            let origin = origin.as_bytes();
            let authority = origin.windows(3).position(|window| window == b"://").map(|start| &origin[start + 3..]);
            authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
        }
    };
    !is_same_site && allowed_origin(request, allow_origins).is_none()
}
