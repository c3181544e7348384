//! Removes a note of the caller.
use method_sdk::prelude::*;

pub const AUTHENTICATED: bool = true;

/// The note.
#[derive(Deserialize)]
pub struct Params {
    pub id: i64,
}

pub async fn invoke(handler: &mut Handler, params: Params) -> Result<()> {
    let user_id = handler.require_session()?.user_id.clone();
    let delete = sqlx::query("DELETE FROM notes WHERE user_id = ? AND id = ?").bind(user_id).bind(params.id);
    match delete.execute(handler.connection().db().sqlite()?).await?.rows_affected() {
        0 => Err(Error::new(2001, "There is no such note").with_status(http::StatusCode::NOT_FOUND)),
        _ => Ok(()),
    }
}
