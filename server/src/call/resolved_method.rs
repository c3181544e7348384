//! The method that a call runs, from either kind of table.

use method_sdk::{Error, Method, code};

/// The number of characters of an unknown method's name that the error repeats.
const MAX_NAME_ECHO_CHARS: usize = 128;

/// A method at the time of a call.
#[derive(Clone, Copy)]
pub(crate) struct ResolvedMethod {
    pub(crate) method: &'static Method,
    /// Its sources have changed since it was loaded, and do not compile.
    pub(crate) is_stale: bool,
}

/// Returns the error for a name that is no method's.
pub(crate) fn unknown_method(name: &str) -> Error {
    let echo: String = name.chars().take(MAX_NAME_ECHO_CHARS).collect();
    Error::new(code::UNKNOWN_METHOD.number, format!("Cannot call '{echo}'."))
}
