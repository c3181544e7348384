//! The two doors' forms: a request's bytes to a call, an answer to a response's bytes. Pure.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use method_sdk::generated::RawParams;
use method_sdk::{Error, Result, code};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// The deepest nesting of a body.
const MAX_DEPTH: usize = 128;

/// Characters of an unknown method's name that are given back.
const MAX_NAME_ECHO_CHARS: usize = 128;

/// The way a request came in.
#[derive(Debug, Clone)]
pub(crate) enum Endpoint {
    /// `POST /`: the body names the method. The ancestor's.
    Rpc,
    /// The path names the method and the body is the parameters; with GET the query string is.
    Path { name: String, query: Option<String> },
}

/// A call as it came in: which method, and its parameters, perhaps not yet looked at.
pub(crate) struct ParsedCall<'a> {
    pub(crate) name: Cow<'a, str>,
    parameters: Unread<'a>,
}

enum Unread<'a> {
    Json(&'a RawValue),
    Body(&'a [u8]),
    Query(&'a str),
}

/// What a call came to: the whole body of a success (`None`: nothing), or an error.
pub(crate) struct CallResult {
    pub(crate) outcome: Result<Option<Bytes>>,
    /// The status and headers of a success.
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// A response, but for what every response has.
#[derive(Debug)]
pub(crate) struct EncodedResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The error that the body tells of, with its cause for the log.
    pub(crate) error: Option<Error>,
}

impl EncodedResponse {
    /// Whether the answer carries a signature, if there is a session: not when nothing is sent, and not when the transport failed.
    pub(crate) fn is_signed(&self) -> bool {
        !self.body.is_empty() && !self.error.as_ref().is_some_and(Error::is_transport)
    }
}

impl CallResult {
    pub(crate) fn error(error: impl Into<Error>) -> Self {
        CallResult { outcome: Err(error.into()), status: StatusCode::OK, headers: HeaderMap::new() }
    }
}

/// Reads what came in as a call.
///
/// # Errors
/// 1015: not JSON, or not within its limits. 1002: no method. 1003: no parameters.
pub(crate) fn decode<'a>(endpoint: &'a Endpoint, body: &'a [u8]) -> Result<ParsedCall<'a>> {
    match endpoint {
        Endpoint::Rpc => decode_envelope(body),
        Endpoint::Path { name, query: Some(query) } => {
            Ok(ParsedCall { name: name.into(), parameters: Unread::Query(query) })
        }
        Endpoint::Path { name, query: None } => Ok(ParsedCall { name: name.into(), parameters: Unread::Body(body) }),
    }
}

impl<'a> ParsedCall<'a> {
    /// The parameters; at the URL endpoint the body is looked at only here.
    ///
    /// # Errors
    /// 1015: not JSON, or not within its limits.
    pub(crate) fn input(&self) -> Result<RawParams<'a>> {
        Ok(match self.parameters {
            Unread::Json(raw) => RawParams::Json(raw),
            Unread::Query(query) => RawParams::Query(query),
            Unread::Body([]) => RawParams::Json(serde_json::from_str("{}")?),
            Unread::Body(body) => RawParams::Json(serde_json::from_str(text(body)?).map_err(malformed)?),
        })
    }
}

fn decode_envelope(body: &[u8]) -> Result<ParsedCall<'_>> {
    let text = text(body)?;
    if !text.trim_ascii_start().starts_with('{') {
        serde_json::from_str::<IgnoredAny>(text).map_err(malformed)?;
        return Err(code::MISSING_METHOD.into());
    }
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(malformed)?;
    let name = envelope.method.and_then(|raw| serde_json::from_str::<Name<'_>>(raw.get()).ok());
    let Name(name) = name.ok_or(code::MISSING_METHOD)?;
    let parameters = envelope.parameters.ok_or(code::MISSING_PARAMETERS)?;
    Ok(ParsedCall { name, parameters: Unread::Json(parameters) })
}

/// The body as text within the limit of depth, which `RawValue` does not have.
fn text(body: &[u8]) -> Result<&str> {
    let text = std::str::from_utf8(body).map_err(malformed)?;
    if is_too_deep(body) {
        return Err(malformed("nested too deep"));
    }
    Ok(text)
}

fn is_too_deep(body: &[u8]) -> bool {
    // Each level takes two bytes to open and to close.
    if body.len() <= 2 * MAX_DEPTH {
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

fn malformed(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::from(code::MALFORMED_REQUEST).with_source(cause)
}

/// The members of an envelope.
#[derive(Default)]
struct Envelope<'a> {
    method: Option<&'a RawValue>,
    parameters: Option<&'a RawValue>,
}

/// A member's name or a method's, borrowed unless it has escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an envelope")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(Name(name)) = members.next_key()? {
            let member = match &*name {
                "method" => &mut envelope.method,
                "parameters" => &mut envelope.parameters,
                _ => {
                    members.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if member.replace(members.next_value()?).is_some() {
                return Err(serde::de::Error::custom("a member of the envelope is there twice"));
            }
        }
        Ok(envelope)
    }
}

/// The error for a name that no method has.
pub(crate) fn unknown_method(name: &str) -> Error {
    let echo: String = name.chars().take(MAX_NAME_ECHO_CHARS).collect();
    Error::new(code::UNKNOWN_METHOD.number, format!("Cannot call '{echo}'."))
}

/// Writes an answer in the form of its endpoint.
pub(crate) fn encode(endpoint: &Endpoint, answer: CallResult) -> EncodedResponse {
    let CallResult { outcome, status, mut headers } = answer;
    match outcome {
        Ok(body) => {
            if body.is_some() {
                headers.entry(CONTENT_TYPE).or_insert(JSON);
            }
            EncodedResponse { status, headers, body: body.unwrap_or_default(), error: None }
        }
        Err(error) => {
            let is_status = error.is_transport() || matches!(endpoint, Endpoint::Path { .. });
            let status = if is_status { error.http_status() } else { StatusCode::OK };
            encode_error(status, error)
        }
    }
}

/// Writes an error with this status.
pub(crate) fn encode_error(status: StatusCode, error: Error) -> EncodedResponse {
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, JSON)]);
    if let Some(seconds) = error.retry_after_seconds() {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    let mut body = format!(r#"{{"error":{{"value":{},"code":{}"#, json!(error.message()), error.code());
    if let Some(details) = error.details() {
        body.push_str(&format!(r#","details":{details}"#));
    }
    body.push_str("}}");
    EncodedResponse { status, headers, body: body.into(), error: Some(error) }
}

/// Writes a result of the server itself.
pub(crate) fn encode_result(result: &Value) -> EncodedResponse {
    let body = format!(r#"{{"result":{result}}}"#);
    EncodedResponse {
        status: StatusCode::OK,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, JSON)]),
        body: body.into(),
        error: None,
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
