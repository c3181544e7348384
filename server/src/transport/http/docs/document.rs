//! The contract as an OpenAPI document, and its versions.

use std::sync::OnceLock;

use bytes::Bytes;
use http::header::IF_NONE_MATCH;
use http::{HeaderMap, HeaderValue};
use method_build::{Contract, ServerError};
use method_sdk::{Code, code};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The errors of the server that any method may return at its URL. 1001 (Cannot call this method) is the error of another path, and 1020
/// (Method not allowed) that of another HTTP method.
const GENERAL_ERRORS: [Code; 13] = [
    code::SERVER_ERROR,
    code::NOT_AUTHORIZED,
    code::INVALID_SESSION_ID,
    code::INVALID_HMAC,
    code::TOO_MANY_REQUESTS,
    code::REQUEST_TOO_LARGE,
    code::MALFORMED_REQUEST,
    code::SERVICE_UNAVAILABLE,
    code::REQUEST_TIMEOUT,
    code::INVALID_PARAMETERS,
    code::UNSUPPORTED_ENCODING,
    code::CROSS_SITE_REQUEST,
    code::UNKNOWN_HOST,
];

/// A version of the document.
#[derive(Clone)]
pub(crate) struct Document {
    pub(crate) body: Bytes,
    pub(crate) etag: HeaderValue,
}

/// The document of methods that do not change, once a client has asked for it.
#[derive(Default)]
pub(crate) struct DocumentCache(OnceLock<Document>);

impl DocumentCache {
    pub(crate) fn get(&self, contract: &Contract) -> &Document {
        self.0.get_or_init(|| Document::new(&openapi(contract)))
    }
}

/// Returns the contract as an OpenAPI document, with the errors of this server.
pub(crate) fn openapi(contract: &Contract) -> Value {
    contract.openapi(&GENERAL_ERRORS.map(|code| ServerError {
        code: code.number,
        message: code.text.trim_end_matches('.').to_owned(),
        status: code.status.as_u16(),
    }))
}

impl Document {
    pub(crate) fn new(document: &Value) -> Self {
        let body = Bytes::from(document.to_string());
        Document { etag: etag(&body), body }
    }
}

pub(crate) fn etag(body: &[u8]) -> HeaderValue {
    let hash = base16ct::lower::encode_string(&Sha256::digest(body)[..16]);
    HeaderValue::try_from(format!("\"{hash}\"")).expect("hex digits are ASCII")
}

/// Returns `true` if the client has this version. A proxy that compresses the body makes the tag a weak one.
pub(crate) fn is_current(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let tags =
        headers.get_all(IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok()).flat_map(|tags| tags.split(','));
    tags.map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/").as_bytes() == etag.as_bytes())
}
