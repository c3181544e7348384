//! Greets by name and counts one on: typed parameters, a typed answer, and GET.
use method_sdk::prelude::*;

/// `curl 'localhost:8888/demo/hello?name=alice&n=41'` works as well as POST.
pub const GET: bool = true;

/// Whom to greet.
#[derive(Deserialize)]
pub struct Params {
    /// Any name.
    pub name: String,
    /// Any number that has a next one.
    pub n: i64,
}

/// The greeting.
#[derive(Serialize)]
pub struct Answer {
    /// `hello` and the name.
    pub greeting: String,
    /// The next number.
    pub n: i64,
}

/// An error of a method's own has a code from 2000 up.
pub fn invoke(_handler: &mut Handler, params: Params) -> Result<Answer> {
    let n = params.n.checked_add(1).ok_or_else(|| Error::new(2000, "There is no next number"))?;
    Ok(Answer { greeting: format!("hello {}", params.name), n })
}
