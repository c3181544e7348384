//! Logs out: ends the session of the request.
use method_sdk::prelude::*;

/// A call without a session returns error 1004 (Not authorized).
pub const AUTHENTICATED: bool = true;

/// The confirmation.
#[derive(Serialize)]
pub struct Answer {
    /// Always `true`.
    pub logged_out: bool,
}

/// Ends the session on all servers immediately. The response is the last that the session signs.
pub async fn invoke(handler: &mut Handler, _: ()) -> Result<Answer> {
    handler.logout().await?;
    Ok(Answer { logged_out: true })
}
