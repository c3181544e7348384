//! Routing: from the head of a request to the call, health check or preflight that it asks for.

use http::header::{ALLOW, HOST};
use http::request::Parts;
use http::{HeaderValue, Method, Version};
use method_sdk::{Error, code};

use super::cors;
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
    /// A CORS preflight of an allowed origin.
    Preflight,
}

/// Routes a request by its head. The route of a method URL holds the method.
///
/// # Errors
/// - 1001 (Cannot call this method): the HTTP method is neither POST nor GET, and there is no such method.
/// - 1015 (Malformed request): an HTTP/1.1 request without exactly one `Host` header.
/// - 1016 (Service unavailable): the connection runs too many calls.
/// - 1020 (Method not allowed): the path does not accept the HTTP method. The error has an `Allow` header.
pub(crate) async fn route(state: &AppState, head: &Parts, guard: &RequestGuard) -> Result<Route, Error> {
    let Parts { method, headers, .. } = head;
    if guard.exceeds_call_limit {
        return Err(code::SERVICE_UNAVAILABLE.into());
    }
    // RFC 9112, 3.2 requires 400; hyper accepts these requests.
    if head.version == Version::HTTP_11 && headers.get_all(HOST).iter().count() != 1 {
        return Err(code::MALFORMED_REQUEST.into());
    }
    let is_preflight = method == Method::OPTIONS && cors::is_preflight(headers);
    if is_preflight && cors::allowed_origin(headers, &state.config.allow_origins).is_some() {
        return Ok(Route::Preflight);
    }
    match head.uri.path() {
        "/livez" | "/readyz" if method != Method::GET && method != Method::HEAD => Err(method_not_allowed("GET, HEAD")),
        "/livez" => Ok(Route::Liveness),
        "/readyz" => Ok(Route::Readiness),
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
    let is_get = head.method == Method::GET;
    match method {
        Ok(found) if is_get && found.method.get => {
            Ok(Endpoint::Path { method, query: Some(head.uri.query().unwrap_or_default().into()) })
        }
        Ok(found) => Err(method_not_allowed(if found.method.get { "GET, POST" } else { "POST" })),
        Err(error) if is_get => Ok(Endpoint::Path { method: Err(error), query: None }),
        Err(error) => Err(error),
    }
}

/// Returns the method name of a path: `/a/b/c` or `/a.b.c`. Any other spelling is returned as it is, and is no method's name.
fn method_name(path: &str) -> String {
    let name = path.strip_prefix('/').unwrap_or(path);
    if name.contains('.') { name.to_owned() } else { name.replace('/', ".") }
}

fn method_not_allowed(allow: &'static str) -> Error {
    Error::from(code::METHOD_NOT_ALLOWED).with_header(ALLOW, HeaderValue::from_static(allow))
}
