//! The method that a call runs, from either kind of table.

use method_sdk::Method;

/// A method at the time of a call.
#[derive(Clone, Copy)]
pub(crate) struct ResolvedMethod {
    pub(crate) method: &'static Method,
    /// Its sources have changed since it was loaded, and do not compile.
    pub(crate) is_stale: bool,
}
