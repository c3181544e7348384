//! Creates an account and logs it in.
use method_sdk::prelude::*;

/// Bounds the accounts that one client creates: 600 at the same time, and then one every 6 seconds.
pub const RATE: &str = "600/1h";

/// The new account.
#[derive(Deserialize)]
pub struct Params {
    /// The name of the account: 1 to 255 bytes without control characters, case-sensitive.
    pub user_id: String,
    /// The password: 1 to 1,024 bytes.
    pub password: String,
}

/// Creates the account and a session, which signs the response.
pub async fn invoke(handler: &mut Handler, params: Params) -> Result<SessionInfo> {
    handler.create_account(&params.user_id, &params.password).await
}
