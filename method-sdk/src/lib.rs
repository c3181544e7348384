//! The SDK for authors of API methods.
//!
//! A method is a file in `methods/` with a public function `invoke`. `methods/greet.rs` is the method `greet`:
//!
//! ```
//! //! Greets by name.
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
//! The forms of `invoke`:
//!
//! | | |
//! |---|---|
//! | `params` | a struct that implements `Deserialize`, [`Value`](serde_json::Value), [`Box<RawValue>`](serde_json::value::RawValue), or `()` |
//! | answer | a [`Result`] of any type that implements `Serialize`; `()` sends nothing |
//! | `async fn` | may await: stream, log in, query the database |
//! | `fn` | computes on the server's own thread, or, with `pub const BLOCKING: bool = true`, on the blocking pool |
//!
//! The types in the order of a call: the server passes a [`Request`] to the method in a [`Handler`], which also gives access to the
//! [`Session`] and the [`DatabaseHandle`]. The method returns its answer or an [`Error`]. If the client disconnects, the method's
//! `on_connection_close` receives a [`ClosedCall`].
//!
//! The modules [`host`] and [`generated`] are not for authors of methods. The first is for the server, the second for the code that
//! `method-build` generates.
#![forbid(unsafe_code)]

mod account_api;
mod call_state;
mod database;
mod error;
pub mod generated;
mod handler;
pub mod host;
mod method;
mod parameter_access;
mod parameter_diagnosis;
mod parameter_error;
mod parameter_query;
mod parameter_tree;
mod parameter_violations;
mod parameters;
mod rate;
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
pub use database::{Database, DatabaseHandle, DatabaseMismatch};
pub use error::{Code, Error, Result, code};
pub use handler::Handler;
pub use method::{Development, Invoke, Method, Methods, Migration, Registry, Start};
pub use rate::Rate;
pub use request::Request;
pub use session::{Session, SessionInfo, StateConflict};

/// The names that a method file needs, for `use method_sdk::prelude::*;`.
pub mod prelude {
    #[cfg(feature = "mongodb")]
    pub use crate::mongodb;
    pub use crate::{
        ClosedCall, Database, DatabaseHandle, Error, Handler, Result, Session, SessionInfo, code, http, serde_json,
        sqlx, tokio, tracing,
    };
    pub use bytes::Bytes;
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::value::RawValue;
    pub use serde_json::{Map, Value, json};
}
