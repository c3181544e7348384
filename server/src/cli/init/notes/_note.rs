//! A note, as all methods return it.
use method_sdk::prelude::*;

/// A note.
#[derive(Serialize)]
pub struct Note {
    pub id: i64,
    pub text: String,
    /// Unix seconds.
    pub created: i64,
}
