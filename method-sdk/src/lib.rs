//! All that the author of an API method imports.
//!
//! A method is a file in `methods/` with one public function; `methods/greet.rs` is the method `greet`:
//!
//! ```
//! //! Greets somebody.
//! use method_sdk::prelude::*;
//!
//! #[derive(Deserialize)]
//! pub struct Params {
//!     pub name: String,
//! }
//!
//! pub async fn invoke(_handler: &mut Handler, params: Params) -> Result<String> {
//!     Ok(format!("hello {}", params.name))
//! }
//! # fn main() {}
//! ```
//!
//! What `invoke` may take and return, in one place:
//!
//! | | |
//! |---|---|
//! | `params` | a struct that is `Deserialize`, [`Value`](serde_json::Value), [`Box<RawValue>`](serde_json::value::RawValue), or `()` |
//! | answer | [`Result`] of anything that is `Serialize`; `()` sends nothing |
//! | `async fn` | may wait: write, log in, query the database |
//! | `fn` | computes, in place; with `pub const BLOCKING: bool = true` on a thread of its own |
//!
//! In order of the path of a call: [`Request`] comes in, [`Handler`] is what the method holds of it, [`Session`] and
//! [`DatabaseHandle`] are what it reaches through the handler, [`Error`] is what it can say instead of an answer, and
//! [`ClosedCall`] is what is left when the client has gone.
//!
//! The modules [`host`] and [`generated`] are not for authors: the first is for the server that runs methods, the second for the
//! code that `method-build` writes.
#![forbid(unsafe_code)]

mod call_state;
mod connection;
mod error;
pub mod generated;
mod handler;
pub mod host;
mod method;
mod parameter_diagnosis;
mod parameter_error;
mod parameter_tree;
mod parameters;
mod request;
mod session;
mod transient;

pub use bytes;
pub use http;
#[cfg(feature = "mongodb")]
pub use mongodb;
pub use serde;
pub use serde_json;
pub use sqlx;
pub use tokio;
pub use tracing;

pub use call_state::{ClientDisconnected, ClosedCall};
pub use connection::{Database, DatabaseHandle, DatabaseMismatch};
pub use error::{Code, Error, Result, code};
pub use handler::Handler;
pub use method::{Development, Invoke, Method, Methods, Registry};
pub use request::Request;
pub use session::{Session, SessionInfo, StateConflict};

/// What a method file needs, in one `use method_sdk::prelude::*;`.
pub mod prelude {
    #[cfg(feature = "mongodb")]
    pub use crate::mongodb;
    pub use crate::{
        ClosedCall, Database, Error, Handler, Result, Session, SessionInfo, code, http, serde_json, sqlx, tokio,
        tracing,
    };
    pub use bytes::Bytes;
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::value::RawValue;
    pub use serde_json::{Map, Value, json};
}
