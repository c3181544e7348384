//! Makes an account and logs it in.
use method_sdk::prelude::*;

/// The account to be.
#[derive(Deserialize)]
pub struct Params {
    /// 1 to 255 bytes, without control characters; `alice` and `Alice` are two accounts.
    pub user_id: String,
    /// 1 to 1,024 bytes.
    pub password: String,
}

/// Makes the account; the answer is signed with its session.
pub async fn invoke(handler: &mut Handler, params: Params) -> Result<SessionInfo> {
    handler.create_account(&params.user_id, &params.password).await
}
