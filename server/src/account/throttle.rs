//! The limits of failed logins: of one client at one account, and of all clients at one account.

use sha2::{Digest, Sha256};

use crate::client_key::ClientKey;
use crate::store::AttemptCounter;

/// The failures of one client at one account before it has to wait, and the time after the last one for which they count, in seconds.
const CLIENT_LIMIT: i64 = 10;
const CLIENT_WINDOW: i64 = 15 * 60;

/// The same for all clients at one account together.
const ACCOUNT_LIMIT: i64 = 100;
const ACCOUNT_WINDOW: i64 = 60 * 60;

/// Returns the counters of an attempt: that of the client at the account, and that of the account. Their keys have a fixed size and do not
/// contain the user id, which may be any text.
pub(super) fn counters(user_id: &str, client: ClientKey) -> [AttemptCounter; 2] {
    let key = key(&client.to_string(), user_id);
    [AttemptCounter { key, limit: CLIENT_LIMIT, window: CLIENT_WINDOW }, account_counter(user_id)]
}

/// Returns the counter of an account.
pub(super) fn account_counter(user_id: &str) -> AttemptCounter {
    AttemptCounter { key: key("account", user_id), limit: ACCOUNT_LIMIT, window: ACCOUNT_WINDOW }
}

fn key(scope: &str, user_id: &str) -> [u8; 32] {
    Sha256::new().chain_update(scope).chain_update([0]).chain_update(user_id).finalize().into()
}
