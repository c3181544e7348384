//! The body of a request, read within its limits of size and time.

use std::pin::{Pin, pin};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Method, Version};
use method_sdk::{Code, Error, code};

use crate::config::Config;
use crate::timeout::timeout;
use crate::transport::guard::RequestGuard;

/// The bytes of a body or a response that are not counted in the memory of the client, because most requests have no more.
pub(crate) const UNCOUNTED_BYTES: usize = 4 * 1024;

pub(crate) const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Reads the body of a request. That of a GET or HEAD request does not count: its signature is over the empty string.
///
/// # Errors
/// - 1014 (Request too large): it is longer than `max_body`.
/// - 1015 (Malformed request): the client did not send all of it.
/// - 1016 (Service unavailable): there is no memory for it.
/// - 1018 (Request timeout): it did not arrive within `body_timeout`.
/// - 1021 (Unsupported content encoding): it is compressed.
pub(crate) async fn read_body(
    config: &Config,
    head: &Parts,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
    guard: &RequestGuard,
) -> Result<Bytes, Error> {
    let headers = &head.headers;
    if headers.get_all(CONTENT_ENCODING).iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(refuse(config, head, body, code::UNSUPPORTED_ENCODING.into()).await);
    }
    let is_ignored = head.method == Method::GET || head.method == Method::HEAD;
    if is_ignored && !may_have_body(head) {
        return Ok(Bytes::new());
    }
    let max_bytes = config.max_body;
    let content_length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if content_length.is_some_and(|length| length > max_bytes as u64) {
        return Err(refuse(config, head, body, close_after(code::REQUEST_TOO_LARGE)).await);
    }
    let mut body = pin!(body);
    let length = content_length.and_then(|length| usize::try_from(length).ok());
    let collected = timeout(config.body_timeout, pin!(collect(body.as_mut(), length, max_bytes, guard))).await;
    match collected {
        Ok(Ok(_)) if is_ignored => Ok(Bytes::new()),
        Ok(Ok(body)) => Ok(body),
        Ok(Err(BodyError::TooLarge)) => Err(refuse(config, head, body, close_after(code::REQUEST_TOO_LARGE)).await),
        Ok(Err(BodyError::NoMemory)) => {
            guard.release();
            Err(refuse(config, head, body, out_of_memory()).await)
        }
        Ok(Err(BodyError::Incomplete)) => Err(close_after(code::MALFORMED_REQUEST)),
        Err(_) => Err(close_after(code::REQUEST_TIMEOUT)),
    }
}

/// Returns the error of a request for which there is no memory now.
pub(crate) fn out_of_memory() -> Error {
    Error::unavailable("the client has used its share of `max_memory_in_flight`, or all clients the whole of it")
}

/// Reads and discards the body of a request that is refused, so that a client that is still sending gets to read the response: a server
/// that closes with unread bytes in its socket resets the connection.
///
/// Returns the error of the response, after which the connection closes unless all of the body was read. A client that asks before it
/// sends (`Expect: 100-continue`) is refused before it sends.
pub(crate) async fn refuse(
    config: &Config,
    head: &Parts,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
    error: Error,
) -> Error {
    if !may_have_body(head) {
        return error;
    }
    let is_discarded = !head.headers.contains_key(EXPECT) && {
        let mut discarding = Box::pin(discard(body, config.max_body));
        timeout(config.body_timeout, discarding.as_mut()).await.unwrap_or(false)
    };
    if is_discarded { error } else { error.with_header(CONNECTION, CLOSE) }
}

/// Reads up to `max_bytes` of a body. Returns `true` if that was all of it.
async fn discard(body: impl Stream<Item = Result<impl Buf, warp::Error>>, max_bytes: usize) -> bool {
    let mut body = pin!(body);
    let mut size = 0;
    while let Some(Ok(chunk)) = body.next().await {
        size += chunk.remaining();
        if size > max_bytes {
            return false;
        }
    }
    true
}

/// Returns `true` unless the head shows that there is no body.
fn may_have_body(head: &Parts) -> bool {
    let is_announced = || head.headers.contains_key(CONTENT_LENGTH) || head.headers.contains_key(TRANSFER_ENCODING);
    head.version == Version::HTTP_2 || is_announced()
}

/// The reason why a body is not collected.
enum BodyError {
    TooLarge,
    NoMemory,
    Incomplete,
}

/// Collects a body of up to `max_bytes`. Those beyond `UNCOUNTED_BYTES` are counted in the memory of the client: all of them from the
/// beginning if the client has said how many there are.
async fn collect<B: Buf>(
    mut body: Pin<&mut impl Stream<Item = Result<B, warp::Error>>>,
    length: Option<usize>,
    max_bytes: usize,
    guard: &RequestGuard,
) -> Result<Bytes, BodyError> {
    let mut counted = UNCOUNTED_BYTES;
    let mut count = |size: usize| {
        let is_held = size <= counted || guard.try_hold(size - counted);
        counted = counted.max(size);
        if is_held { Ok(()) } else { Err(BodyError::NoMemory) }
    };
    count(length.unwrap_or(0))?;
    let Some(first) = body.next().await else { return Ok(Bytes::new()) };
    let mut first = first.map_err(|_| BodyError::Incomplete)?;
    // Most bodies arrive in one chunk, which is not copied.
    let first = first.copy_to_bytes(first.remaining());
    let mut size = first.len();
    let mut collected: Option<BytesMut> = None;
    loop {
        if size > max_bytes {
            return Err(BodyError::TooLarge);
        }
        count(size)?;
        let Some(chunk) = body.next().await else {
            return Ok(collected.map_or(first, BytesMut::freeze));
        };
        let chunk = chunk.map_err(|_| BodyError::Incomplete)?;
        size += chunk.remaining();
        let collected = collected.get_or_insert_with(|| {
            let mut collected = BytesMut::with_capacity(length.unwrap_or(size));
            collected.put(&first[..]);
            collected
        });
        collected.put(chunk);
    }
}

/// Returns an error after which the connection closes, because the rest of the body may still be on its way.
fn close_after(code: Code) -> Error {
    Error::from(code).with_header(CONNECTION, CLOSE)
}
