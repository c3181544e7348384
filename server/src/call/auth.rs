//! Who is calling: sessions and signatures, version 1. The only file that knows how a request is signed.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue};
use method_sdk::{Result, Session, code};
use sha1::Sha1;

use crate::account::AccountService;

const SESSION_ID: &str = "x-session-id";
const SIGNATURE: &str = "x-hmac";

/// Bytes of an HMAC-SHA1; the header holds them as lowercase hex.
const SIGNATURE_BYTES: usize = 20;

/// The session that a request claims and proves; `None` if it claims none.
///
/// # Errors
/// 1007: there is no such session. 1008: the signature is missing or not that of this body by this session's user.
pub(crate) async fn authenticate(
    headers: &HeaderMap,
    body: &[u8],
    accounts: &Arc<AccountService>,
) -> Result<Option<Session>> {
    let mut claims = headers.get_all(SESSION_ID).iter();
    let Some(claim) = claims.next() else { return Ok(None) };
    let session_id = claim.to_str().ok().filter(|_| claims.next().is_none()).ok_or(code::INVALID_SESSION_ID)?;
    let record = accounts.session(session_id).await?.ok_or(code::INVALID_SESSION_ID)?;
    let session = Session::new(record, accounts.clone());
    let signature = signature(headers).ok_or(code::INVALID_HMAC)?;
    // `verify_slice` compares in constant time.
    mac(&session, body).verify_slice(&signature).map_err(|_| code::INVALID_HMAC)?;
    Ok(Some(session))
}

/// The signature of an answer sent while this session is current: a header's name and its value.
pub(crate) fn sign(session: &Session, body: &[u8]) -> (&'static str, HeaderValue) {
    let hex = base16ct::lower::encode_string(&mac(session, body).finalize().into_bytes());
    (SIGNATURE, HeaderValue::try_from(hex).expect("hex is a legal header value"))
}

fn signature(headers: &HeaderMap) -> Option<[u8; SIGNATURE_BYTES]> {
    let mut values = headers.get_all(SIGNATURE).iter();
    let value = values.next().filter(|value| value.len() == 2 * SIGNATURE_BYTES)?;
    let mut bytes = [0; SIGNATURE_BYTES];
    base16ct::lower::decode(value, &mut bytes).ok()?;
    values.next().is_none().then_some(bytes)
}

/// The key is the user id: that is what version 1 is, and why it proves little (see docs/signing.md).
fn mac(session: &Session, body: &[u8]) -> Hmac<Sha1> {
    let mac = Hmac::<Sha1>::new_from_slice(session.user_id.as_bytes()).expect("HMAC takes keys of any length");
    mac.chain_update(body)
}
