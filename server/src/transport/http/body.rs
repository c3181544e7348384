//! The body of a request, read within its limits of size and time.

use std::pin::{Pin, pin};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use http::request::Parts;
use http::{HeaderValue, Method};
use method_sdk::{Code, Error, code};

use crate::config::Config;
use crate::timeout::timeout;

/// Reads the body of a request. A GET request has none: its signature is over the empty string.
///
/// # Errors
/// - 1014 (Request too large): it is longer than `max_body`.
/// - 1015 (Malformed request): the client did not send all of it.
/// - 1018 (Request timeout): it did not arrive within `body_timeout`.
/// - 1021 (Unsupported content encoding): it is compressed.
pub(crate) async fn read_body(
    config: &Config,
    head: &Parts,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Result<Bytes, Error> {
    let headers = &head.headers;
    if headers.get_all(CONTENT_ENCODING).iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(code::UNSUPPORTED_ENCODING.into());
    }
    if head.method == Method::GET {
        return Ok(Bytes::new());
    }
    let max_bytes = config.max_body;
    let content_length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let is_too_large = content_length.is_some_and(|length| length > max_bytes as u64);
    // A client that asks before it sends is refused before it sends.
    if is_too_large && headers.contains_key(EXPECT) {
        return Err(error_and_close(code::REQUEST_TOO_LARGE));
    }
    let mut body = pin!(body);
    let collected = timeout(config.body_timeout, pin!(collect_limited(body.as_mut(), max_bytes))).await;
    match collected {
        Ok(Ok(Some(body))) => Ok(body),
        Ok(Ok(None)) => {
            // The client is still sending. Read a little more, so that the client gets to read the response.
            let mut rest = Box::pin(collect_limited(body, max_bytes));
            let _ = timeout(config.body_timeout, rest.as_mut()).await;
            Err(error_and_close(code::REQUEST_TOO_LARGE))
        }
        Ok(Err(_)) => Err(error_and_close(code::MALFORMED_REQUEST)),
        Err(_) => Err(error_and_close(code::REQUEST_TIMEOUT)),
    }
}

/// Collects a body; returns `None` as soon as it is longer than `max_bytes`.
async fn collect_limited<B: Buf>(
    mut body: Pin<&mut impl Stream<Item = Result<B, warp::Error>>>,
    max_bytes: usize,
) -> Result<Option<Bytes>, warp::Error> {
    let Some(first) = body.next().await else { return Ok(Some(Bytes::new())) };
    let mut first = first?;
    // Most bodies arrive in one chunk, which is not copied.
    let first = first.copy_to_bytes(first.remaining());
    let mut size = first.len();
    let mut collected: Option<BytesMut> = None;
    while size <= max_bytes {
        let Some(chunk) = body.next().await else {
            return Ok(Some(collected.map_or(first, BytesMut::freeze)));
        };
        let chunk = chunk?;
        size += chunk.remaining();
        collected.get_or_insert_with(|| BytesMut::from(&first[..])).put(chunk);
    }
    Ok(None)
}

/// Returns an error after which the connection closes, because the rest of the body is still on its way.
fn error_and_close(code: Code) -> Error {
    Error::from(code).with_header(CONNECTION, HeaderValue::from_static("close"))
}
