//! Lists the notes of the caller, the newest first.
use method_sdk::prelude::*;

use super::_note::Note;

pub const AUTHENTICATED: bool = true;

/// The most notes of one answer.
const PAGE: usize = 50;

/// The part of the list.
#[derive(Deserialize)]
pub struct Params {
    /// Only notes older than this one.
    pub before: Option<i64>,
}

/// A part of the list.
#[derive(Serialize)]
pub struct Answer {
    pub notes: Vec<Note>,
    /// There are older notes.
    pub has_more: bool,
}

pub async fn invoke(handler: &mut Handler, params: Params) -> Result<Answer> {
    let user_id = handler.require_session()?.user_id.clone();
    let select = "SELECT id, text, created FROM notes WHERE user_id = ? AND id < ? ORDER BY id DESC LIMIT ?";
    let rows = sqlx::query_as(select).bind(user_id).bind(params.before.unwrap_or(i64::MAX)).bind(PAGE as i64 + 1);
    let mut rows: Vec<(i64, String, i64)> = rows.fetch_all(handler.connection().db().sqlite()?).await?;
    let has_more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let notes = rows.into_iter().map(|(id, text, created)| Note { id, text, created }).collect();
    Ok(Answer { notes, has_more })
}
