//! Ends the session that the request came with.
use method_sdk::prelude::*;

/// There must be a session to end.
pub const AUTHENTICATED: bool = true;

/// That it has ended.
#[derive(Serialize)]
pub struct Answer {
    /// Always true.
    pub logged_out: bool,
}

/// Ends the session, on every server at once; the answer is the last that it signs.
pub async fn invoke(handler: &mut Handler, _: ()) -> Result<Answer> {
    handler.logout().await?;
    Ok(Answer { logged_out: true })
}
