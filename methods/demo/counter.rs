//! Counts the calls of a session in the session's state.
use method_sdk::prelude::*;

/// A call without a session returns error 1004 (Not authorized).
pub const AUTHENTICATED: bool = true;

/// The count.
#[derive(Serialize)]
pub struct Answer {
    /// The calls of the session, this one included.
    pub count: u64,
}

/// Increments the count. `update_state` retries if another request of the session has saved the state first, so no call is lost.
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
