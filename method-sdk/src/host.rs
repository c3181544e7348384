//! The interface between a method's handler and the server. It is not for authors of methods.

use serde::Serialize;

pub use crate::account_api::{AccountApi, BoxFuture, SessionRecord, StateRecord};
pub use crate::call_state::{CallState, StreamingResponse};
pub use crate::handler::{RESERVED_HEADERS, has_no_body};
pub use crate::parameter_violations::{Violation, add_violations, find_violations};
pub use crate::request::RequestInfo;
pub use crate::transient::is_transient;
#[cfg(feature = "sqlite")]
pub use crate::transient::is_transient_sqlite_code;

/// The body of a successful response: `{"result": ..}`.
#[derive(Debug, Serialize)]
pub struct Success<T> {
    /// The answer.
    pub result: T,
}
