//! Greets by name and returns the next number: typed parameters and answer, over POST and GET.
use method_sdk::prelude::*;

/// Allows GET beside POST: `curl 'localhost:8888/demo/hello?name=alice&n=41'`.
pub const GET: bool = true;

/// The name and the number.
#[derive(Deserialize)]
pub struct Params {
    /// Any name.
    pub name: String,
    /// Any number but the largest.
    pub n: i64,
}

/// The greeting and the next number.
#[derive(Serialize)]
pub struct Answer {
    /// `hello` and the name.
    pub greeting: String,
    /// The number after `n`.
    pub n: i64,
}

/// Computes the answer, or returns error 2000. The error codes of methods start at 2000.
pub fn invoke(_handler: &mut Handler, params: Params) -> Result<Answer> {
    let n = params.n.checked_add(1).ok_or_else(|| Error::new(2000, "There is no next number"))?;
    Ok(Answer { greeting: format!("hello {}", params.name), n })
}
