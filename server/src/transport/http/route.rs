//! Routing: from the head of a request to the call, health check, document or preflight that it asks for.

use http::header::{ALLOW, CONNECTION, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use method_sdk::{Error, code};

use super::body::CLOSE;
use super::{cors, docs, host};
use crate::call::Endpoint;
use crate::state::AppState;
use crate::transport::guard::RequestGuard;

/// The destination of a request.
pub(crate) enum Route {
    Call(Endpoint),
    /// `GET /livez`
    Liveness,
    /// `GET /readyz`
    Readiness,
    /// `GET /` of a browser, where the page is served.
    ToPage,
    /// `GET /docs`
    Page,
    /// `GET /openapi.json`
    Document,
    /// A CORS preflight of an allowed origin.
    Preflight,
}

/// Routes a request by its head. The route of a method URL holds the method.
///
/// # Errors
/// - 1001 (Cannot call this method): the HTTP method is neither POST nor GET, and there is no such method.
/// - 1013 (Too many requests): the client exceeds `request_rate`.
/// - 1015 (Malformed request): the `Host` or `Transfer-Encoding` headers are not valid. hyper accepts these requests.
/// - 1016 (Service unavailable): the connection runs too many calls, or the client behind a trusted proxy does.
/// - 1020 (Method not allowed): the path does not accept the HTTP method. The error has an `Allow` header.
/// - 1022 (Cross-site request): a page of another site sends a POST request, and its origin is not allowed.
/// - 1023 (Unknown host): the host is not in `allowed_hosts`.
pub(crate) async fn route(state: &AppState, head: &Parts, guard: &RequestGuard) -> Result<Route, Error> {
    let Parts { method, headers, .. } = head;
    if guard.exceeds_call_limit {
        return Err(code::SERVICE_UNAVAILABLE.into());
    }
    let host = host::host(head).filter(|_| has_valid_framing(headers)).ok_or_else(malformed)?;
    let is_preflight = method == Method::OPTIONS && cors::is_preflight(headers);
    if is_preflight && cors::allowed_origin(headers, &state.config.allow_origins).is_some() {
        return Ok(Route::Preflight);
    }
    let path = head.uri.path();
    let is_health_check = path == "/livez" || path == "/readyz";
    if !is_health_check {
        state.dispatcher.rates.check_request(guard.client())?;
    }
    let allowed_hosts = &state.config.allowed_hosts;
    if !allowed_hosts.is_empty() && !is_health_check && !host::is_allowed(host, allowed_hosts) {
        return Err(code::UNKNOWN_HOST.into());
    }
    if method == Method::POST && cors::is_cross_site(headers, host, &state.config.allow_origins) {
        return Err(code::CROSS_SITE_REQUEST.into());
    }
    match path {
        "/livez" | "/readyz" if !docs::is_get(head) => Err(method_not_allowed("GET, HEAD")),
        "/livez" => Ok(Route::Liveness),
        "/readyz" => Ok(Route::Readiness),
        "/docs" | "/openapi.json" if docs::is_served(state) && !docs::is_get(head) => {
            Err(method_not_allowed("GET, HEAD"))
        }
        "/docs" if docs::is_served(state) => Ok(Route::Page),
        "/openapi.json" if docs::is_served(state) => Ok(Route::Document),
        "/" if docs::is_served(state) && docs::wants_page(head) => Ok(Route::ToPage),
        // The URI of a CONNECT request has no path.
        "/" | "" if method == Method::POST => Ok(Route::Call(Endpoint::Rpc)),
        "/" | "" => Err(method_not_allowed("POST")),
        _ => Ok(Route::Call(resolve_method_url(state, head).await?)),
    }
}

/// Finds the method of a URL. An unknown method is an error of the call and not of the route, because the caller is authenticated first.
async fn resolve_method_url(state: &AppState, head: &Parts) -> Result<Endpoint, Error> {
    let method = state.dispatcher.methods.find(&method_name(head.uri.path())).await;
    if head.method == Method::POST {
        return Ok(Endpoint::Path { method, query: None });
    }
    let is_get = docs::is_get(head);
    match method {
        Ok(found) if is_get && found.method.get => {
            Ok(Endpoint::Path { method, query: Some(head.uri.query().unwrap_or_default().into()) })
        }
        Ok(found) => Err(method_not_allowed(if found.method.get { "GET, HEAD, POST" } else { "POST" })),
        Err(error) if is_get => Ok(Endpoint::Path { method: Err(error), query: None }),
        Err(error) => Err(error),
    }
}

/// Returns the method name of a path: `/a/b/c` or `/a.b.c`. Any other spelling is returned as it is, and is no method's name.
pub(crate) fn method_name(path: &str) -> String {
    let name = path.strip_prefix('/').unwrap_or(path);
    if name.contains('.') { name.to_owned() } else { name.replace('/', ".") }
}

/// Returns `true` if the body has no transfer coding but `chunked`: another one would reach the method, and software between the client and
/// the server may read the end of the body differently.
fn has_valid_framing(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    is_chunked && codings.next().is_none()
}

/// Returns an error after which the connection closes, because a second request may be part of the first.
fn malformed() -> Error {
    Error::from(code::MALFORMED_REQUEST).with_header(CONNECTION, CLOSE)
}

fn method_not_allowed(allow: &'static str) -> Error {
    Error::from(code::METHOD_NOT_ALLOWED).with_header(ALLOW, HeaderValue::from_static(allow))
}
