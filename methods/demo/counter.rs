//! Counts the calls in one session, in the session's state.
use method_sdk::prelude::*;

/// Without a session there is nothing to count in: 1004.
pub const AUTHENTICATED: bool = true;

/// How often.
#[derive(Serialize)]
pub struct Answer {
    /// This call included.
    pub count: u64,
}

/// `update_state` tries again when another request of the session was faster, so no count is lost.
pub async fn invoke(handler: &mut Handler, _: ()) -> Result<Answer> {
    let count = handler
        .require_session()?
        .update_state(|state| {
            let count = state.get("count").and_then(Value::as_u64).unwrap_or(0) + 1;
            state.insert("count".into(), count.into());
            count
        })
        .await?;
    Ok(Answer { count })
}
