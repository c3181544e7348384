//! Opens a session for an existing account.
use method_sdk::prelude::*;

/// Who it is.
#[derive(Deserialize)]
pub struct Params {
    /// The account.
    pub user_id: String,
    /// Its password.
    pub password: String,
}

/// Opens the session; the answer is signed with it.
pub async fn invoke(handler: &mut Handler, params: Params) -> Result<SessionInfo> {
    handler.login(&params.user_id, &params.password).await
}
