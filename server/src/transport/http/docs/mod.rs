//! The documentation page (`GET /docs`) and the OpenAPI document (`GET /openapi.json`).

pub(crate) mod document;
#[cfg(feature = "dev")]
mod live;

use std::sync::LazyLock;

use base64ct::{Base64, Encoding as _};
use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LOCATION, REFERRER_POLICY, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use method_sdk::Error;
use sha2::{Digest as _, Sha256};

use self::document::{Document, etag, is_current};
use crate::call::codec::{APPLICATION_JSON, EncodedResponse};
use crate::call::methods::MethodTable;
use crate::call::resolved_method::unknown_method;
use crate::config::Docs;
use crate::state::AppState;
use crate::transport::guard::RequestGuard;

/// Clients ask whether their copy is current each time they use it.
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page: one file, which loads nothing but the document.
const PAGE: &str = concat!(
    include_str!("page.html"),
    "<style>",
    include_str!("page.css"),
    "</style>\n<script>",
    include_str!("page.js"),
    "</script>\n"
);

/// The headers of the page. Its policy allows this style and this script, and requests to this server alone.
static PAGE_HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let hash = |text: &str| Base64::encode_string(&Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; form-action 'none'; \
         base-uri 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, HeaderValue::try_from(policy).expect("base64 is ASCII")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CACHE_CONTROL, NO_CACHE),
        (ETAG, etag(PAGE.as_bytes())),
    ])
});

/// Returns `true` if the server serves the page and the document.
pub(crate) fn is_served(state: &AppState) -> bool {
    state.config.docs == Docs::On
}

/// Returns `true` if a browser asks for a page.
pub(crate) fn wants_page(head: &Parts) -> bool {
    let is_html = |accept: &HeaderValue| accept.to_str().is_ok_and(|accept| accept.contains("text/html"));
    is_get(head) && head.headers.get(ACCEPT).is_some_and(is_html)
}

/// Returns `true` for GET and HEAD.
pub(crate) fn is_get(head: &Parts) -> bool {
    head.method == Method::GET || head.method == Method::HEAD
}

/// Returns the response that sends a browser from `/` to the page.
pub(crate) fn redirect() -> EncodedResponse {
    let headers = [(LOCATION, HeaderValue::from_static("docs")), (VARY, HeaderValue::from_static("accept"))];
    EncodedResponse {
        status: StatusCode::FOUND,
        headers: HeaderMap::from_iter(headers),
        body: Bytes::new(),
        error: None,
    }
}

/// Returns the page.
pub(crate) fn page(head: &Parts) -> EncodedResponse {
    conditional(head, PAGE_HEADERS.clone(), Bytes::from_static(PAGE.as_bytes()))
}

/// Returns the OpenAPI document of the methods. In development mode, it may wait for another version.
///
/// # Errors
/// Returns error 1001 (Cannot call this method) if what the methods take is not known.
pub(crate) async fn document(
    state: &AppState,
    head: &Parts,
    #[cfg_attr(not(feature = "dev"), expect(unused_variables, reason = "only development mode waits"))]
    guard: &RequestGuard,
) -> Result<EncodedResponse, Error> {
    let document = match &state.dispatcher.methods {
        methods @ MethodTable::Static(_) => methods.contract().map(|contract| state.document.get(&contract).clone()),
        #[cfg(feature = "dev")]
        MethodTable::Live(methods) => live::document(methods, &head.headers, guard).await,
    };
    let Document { body, etag } = document.ok_or_else(|| unknown_method("openapi.json"))?;
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, APPLICATION_JSON), (CACHE_CONTROL, NO_CACHE), (ETAG, etag)]);
    Ok(conditional(head, headers, body))
}

/// Returns the response, without its body if the client has this version.
fn conditional(head: &Parts, headers: HeaderMap, body: Bytes) -> EncodedResponse {
    let is_current = headers.get(ETAG).is_some_and(|etag| is_current(&head.headers, etag));
    let (status, body) = if is_current { (StatusCode::NOT_MODIFIED, Bytes::new()) } else { (StatusCode::OK, body) };
    EncodedResponse { status, headers, body, error: None }
}
