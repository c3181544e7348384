//! The JSON of requests and responses: the envelope of the RPC endpoint and the bodies of method URLs, decoded and encoded.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use method_sdk::generated::RawParams;
use method_sdk::host::{RESERVED_HEADERS, Success, has_no_body};
use method_sdk::{Error, Result, code};
use serde::de::{Deserializer, IgnoredAny};
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// The deepest nesting of a request body.
const MAX_DEPTH: usize = 128;

pub(crate) const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The call in an envelope.
pub(crate) struct ParsedCall {
    pub(crate) method: ByteString,
    pub(crate) params: RawParams,
}

/// The result of a call.
pub(crate) enum CallResult {
    /// `body` is the whole response body; `None` sends an empty one.
    Success {
        status: StatusCode,
        headers: HeaderMap,
        body: Option<Bytes>,
    },
    Failure(Error),
}

/// A response, without the headers that every response has.
#[derive(Debug)]
pub(crate) struct EncodedResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The error in the body, with its source for the log.
    pub(crate) error: Option<Error>,
}

impl EncodedResponse {
    /// Returns `true` if the response is signed when there is a session: it has a body, and the transport did not fail.
    pub(crate) fn is_signed(&self) -> bool {
        !self.body.is_empty() && !self.error.as_ref().is_some_and(Error::is_transport)
    }
}

/// Decodes the body of a request to the RPC endpoint.
///
/// # Errors
/// - 1002 (Missing method), 1003 (Missing parameters): a member of the envelope is missing.
/// - 1015 (Malformed request): it is not JSON, or nested too deeply.
pub(crate) fn decode_envelope(body: &Bytes) -> Result<ParsedCall> {
    let text = decode_text(body)?;
    if !text.trim_ascii_start().starts_with('{') {
        serde_json::from_str::<IgnoredAny>(&text).map_err(malformed)?;
        return Err(code::MISSING_METHOD.into());
    }
    let envelope: RequestEnvelope<'_> = serde_json::from_str(&text).map_err(malformed)?;
    let method = match envelope.method.and_then(decode_name).ok_or(code::MISSING_METHOD)? {
        Cow::Borrowed(name) => text.slice_ref(name),
        Cow::Owned(name) => name.into(),
    };
    let params = envelope.parameters.ok_or(code::MISSING_PARAMETERS)?;
    Ok(ParsedCall { method, params: RawParams::Json(text.slice_ref(params.get())) })
}

/// Decodes the body of a POST to a method URL. An empty body is `{}`.
///
/// # Errors
/// Returns error 1015 (Malformed request) if the body is not JSON, or nested too deeply.
pub(crate) fn decode_params(body: &Bytes) -> Result<RawParams> {
    if body.is_empty() {
        return Ok(RawParams::Json(ByteString::from_static("{}")));
    }
    let text = decode_text(body)?;
    let json: &RawValue = serde_json::from_str(&text).map_err(malformed)?;
    Ok(RawParams::Json(text.slice_ref(json.get())))
}

/// Encodes an envelope, as clients do.
#[cfg(feature = "testing")]
pub(crate) fn encode_envelope(method: &str, parameters: impl Serialize) -> serde_json::Result<Bytes> {
    #[derive(Serialize)]
    struct Envelope<'a, P> {
        method: &'a str,
        parameters: P,
    }

    serde_json::to_vec(&Envelope { method, parameters }).map(Bytes::from)
}

/// Encodes the result of a call, without the headers that methods cannot set. With `has_http_statuses` every error has its own HTTP status, otherwise only errors of the transport do.
pub(crate) fn encode(result: CallResult, has_http_statuses: bool) -> EncodedResponse {
    match result {
        CallResult::Success { status, .. } if status.is_informational() => {
            let message = format!("`invoke` set the status {status}, which is no status of a response");
            encode(CallResult::Failure(Error::internal(message)), has_http_statuses)
        }
        CallResult::Success { status, mut headers, body } => {
            let body = body.filter(|_| !has_no_body(status));
            if body.is_some() {
                headers.entry(CONTENT_TYPE).or_insert(APPLICATION_JSON);
            } else if has_no_body(status) {
                headers.remove(CONTENT_TYPE);
            }
            EncodedResponse { status, headers, body: body.unwrap_or_default(), error: None }
        }
        CallResult::Failure(error) => {
            let has_status = has_http_statuses || error.is_transport();
            let mut response = encode_error(if has_status { error_status(&error) } else { StatusCode::OK }, error);
            for name in RESERVED_HEADERS {
                response.headers.remove(name);
            }
            response
        }
    }
}

/// Returns the HTTP status of an error: 500 if the method's own is one whose responses cannot carry the error.
fn error_status(error: &Error) -> StatusCode {
    let status = error.http_status();
    if status.is_informational() || has_no_body(status) { StatusCode::INTERNAL_SERVER_ERROR } else { status }
}

/// Encodes an error with the given HTTP status.
pub(crate) fn encode_error(status: StatusCode, error: Error) -> EncodedResponse {
    #[derive(Serialize)]
    struct Failure<'a> {
        error: ErrorMembers<'a>,
    }

    #[derive(Serialize)]
    struct ErrorMembers<'a> {
        value: &'a str,
        code: i32,
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<&'a Value>,
    }

    let members = ErrorMembers { value: error.message(), code: error.code(), details: error.details() };
    let body = encode_json(&Failure { error: members });
    let mut headers = error.headers().clone();
    headers.insert(CONTENT_TYPE, APPLICATION_JSON);
    if let Some(seconds) = error.retry_after_seconds() {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    EncodedResponse { status, headers, body, error: Some(error) }
}

/// Encodes a result of the server itself.
pub(crate) fn encode_result(result: &str) -> EncodedResponse {
    EncodedResponse {
        status: StatusCode::OK,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, APPLICATION_JSON)]),
        body: encode_json(&Success { result }),
        error: None,
    }
}

/// The members of an envelope that the server reads.
#[derive(serde::Deserialize)]
struct RequestEnvelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    parameters: Option<&'a RawValue>,
}

/// Deserializes a member that is there, even if it is `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Returns a string, borrowed unless it contains escapes, or `None` for any other JSON.
fn decode_name(json: &RawValue) -> Option<Cow<'_, str>> {
    match json.get().strip_prefix('"')?.strip_suffix('"')? {
        name if !name.contains('\\') => Some(Cow::Borrowed(name)),
        _ => serde_json::from_str(json.get()).ok().map(Cow::Owned),
    }
}

/// Returns a body as text, within the limit of depth, which `RawValue` does not check.
fn decode_text(body: &Bytes) -> Result<ByteString> {
    let text = ByteString::try_from(body.clone()).map_err(malformed)?;
    if is_too_deep(body) { Err(malformed("nested too deeply")) } else { Ok(text) }
}

fn is_too_deep(body: &[u8]) -> bool {
    // Few brackets cannot be nested deeply. Counting them takes a fraction of the time of the walk below, because it needs no order.
    if body.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() <= MAX_DEPTH {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

fn malformed(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::from(code::MALFORMED_REQUEST).with_source(source)
}

fn encode_json(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).expect("strings, numbers and JSON values have a JSON form").into()
}

#[cfg(test)]
mod tests;
