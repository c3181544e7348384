//! Changes an account's password, which ends all of its sessions and opens a new one.
use method_sdk::prelude::*;

/// Whose password, and what it shall be.
#[derive(Deserialize)]
pub struct Params {
    /// The account.
    pub user_id: String,
    /// Its password until now.
    pub password: String,
    /// Its password from now on; without it nothing changes.
    pub new_password: Option<String>,
}

/// What has changed, and the session that there is now if it was the password.
#[derive(Serialize)]
pub struct Answer {
    /// `password`, or nothing.
    pub updated_fields: Vec<&'static str>,
    /// The new session.
    #[serde(flatten)]
    pub session: Option<SessionInfo>,
}

/// Checks the password and, if there is a new one, sets that.
pub async fn invoke(handler: &mut Handler, params: Params) -> Result<Answer> {
    let new_password = params.new_password.as_deref();
    let session = handler.change_password(&params.user_id, &params.password, new_password).await?;
    let updated_fields = if session.is_some() { vec!["password"] } else { vec![] };
    Ok(Answer { updated_fields, session })
}
