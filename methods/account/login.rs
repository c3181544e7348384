//! Opens a session for an existing account.
use method_sdk::prelude::*;

/// The credentials.
#[derive(Deserialize)]
pub struct Params {
    /// The name of the account.
    pub user_id: String,
    /// The password of the account.
    pub password: String,
}

/// Verifies the password and opens a session, which signs the response.
pub async fn invoke(handler: &mut Handler, params: Params) -> Result<SessionInfo> {
    handler.login(&params.user_id, &params.password).await
}
