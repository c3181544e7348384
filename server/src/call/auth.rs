//! Sessions and signatures, version 1. The only file that knows how requests and responses are signed.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use method_sdk::{Result, Session, code};
use sha1::Sha1;

use crate::account::AccountService;

const SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");
const SIGNATURE: HeaderName = HeaderName::from_static("x-hmac");

/// The length of an HMAC-SHA1 in bytes; the header holds it in lowercase hex.
const SIGNATURE_BYTES: usize = 20;

/// Returns the session of a request after verifying the request's signature, or `None` if the request names no session.
///
/// # Errors
/// - 1007 (Invalid session ID): there is no such session, or it has expired.
/// - 1008 (Invalid HMAC): the signature is missing, or is not that of this body and user.
pub(crate) async fn authenticate(
    headers: &HeaderMap,
    body: &[u8],
    accounts: &Arc<AccountService>,
) -> Result<Option<Box<Session>>> {
    let Some(id) = headers.get(SESSION_ID) else { return Ok(None) };
    let is_repeated = headers.get_all(SESSION_ID).iter().nth(1).is_some();
    let session_id = id.to_str().ok().filter(|_| !is_repeated).ok_or(code::INVALID_SESSION_ID)?;
    let record = accounts.session(session_id).await?.ok_or(code::INVALID_SESSION_ID)?;
    let session = Session::new(record, accounts.clone());
    let signature = decode_signature(headers).ok_or(code::INVALID_HMAC)?;
    // `verify_slice` compares in constant time.
    mac(&session, body).verify_slice(&signature).map_err(|_| code::INVALID_HMAC)?;
    Ok(Some(Box::new(session)))
}

/// Returns the header that signs a response body: its name and value.
pub(crate) fn sign(session: &Session, body: &[u8]) -> (HeaderName, HeaderValue) {
    let hex = base16ct::lower::encode_string(&mac(session, body).finalize().into_bytes());
    (SIGNATURE, HeaderValue::try_from(hex).expect("hex is a legal header value"))
}

fn decode_signature(headers: &HeaderMap) -> Option<[u8; SIGNATURE_BYTES]> {
    let mut values = headers.get_all(SIGNATURE).iter();
    let value = values.next().filter(|value| value.len() == 2 * SIGNATURE_BYTES)?;
    let mut signature = [0; SIGNATURE_BYTES];
    base16ct::lower::decode(value, &mut signature).ok()?;
    values.next().is_none().then_some(signature)
}

/// Returns the HMAC of a body, keyed with the user id as version 1 requires; `docs/signing.md` says what that does not prove.
fn mac(session: &Session, body: &[u8]) -> Hmac<Sha1> {
    let mac = Hmac::<Sha1>::new_from_slice(session.user_id.as_bytes()).expect("HMAC accepts keys of any length");
    mac.chain_update(body)
}
