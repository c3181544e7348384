//! Adds a note of the caller.
use method_sdk::prelude::*;

pub const AUTHENTICATED: bool = true;

/// The new note.
#[derive(Deserialize)]
pub struct Params {
    /// 1 to 1,000 characters.
    pub text: String,
}

pub async fn invoke(handler: &mut Handler, params: Params) -> Result<super::_note::Note> {
    if !(1..=1000).contains(&params.text.chars().count()) {
        return Err(Error::invalid_parameters("/text", "expected 1 to 1,000 characters"));
    }
    let user_id = handler.require_session()?.user_id.clone();
    let insert = "INSERT INTO notes (user_id, text) VALUES (?, ?) RETURNING id, text, created";
    let row = sqlx::query_as(insert).bind(user_id).bind(params.text);
    let (id, text, created) = row.fetch_one(handler.connection().db().sqlite()?).await?;
    Ok(super::_note::Note { id, text, created })
}
