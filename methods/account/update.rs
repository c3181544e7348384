//! Changes an account's password, ends all of its sessions and creates a new one.
use method_sdk::prelude::*;

/// The credentials and the new password.
#[derive(Deserialize)]
pub struct Params {
    /// The name of the account.
    pub user_id: String,
    /// The current password.
    pub password: String,
    /// The new password: 1 to 1,024 bytes. Without it, nothing changes.
    pub new_password: Option<String>,
}

/// The changed fields and, if the password is one of them, the new session.
#[derive(Serialize)]
pub struct Answer {
    /// `["password"]`, or `[]`.
    pub updated_fields: Vec<&'static str>,
    /// The new session, whose fields are members of the answer.
    #[serde(flatten)]
    pub session: Option<SessionInfo>,
}

/// Verifies the password and sets the new one, if there is one.
pub async fn invoke(handler: &mut Handler, params: Params) -> Result<Answer> {
    let new_password = params.new_password.as_deref();
    let session = handler.change_password(&params.user_id, &params.password, new_password).await?;
    let updated_fields = if session.is_some() { vec!["password"] } else { vec![] };
    Ok(Answer { updated_fields, session })
}
