//! The server around a table of methods: from a socket to an answer, and back.
//!
//! In the order in which a call passes them:
//!
//! | file | |
//! |---|---|
//! | `serve.rs`, `places.rs` | a listener, how many connections it takes, and the end |
//! | `connection.rs`, `arrival.rs` | one connection and its time limits; what its requests know of it |
//! | `http.rs` | a request on a connection to something to dispatch, an answer to a response |
//! | `client.rs`, `cors.rs` | what a request's head says of the client's address and of its browser |
//! | `inflight.rs` | a call under way, whether its client waits or not |
//! | `dispatch.rs` | the story of one call |
//! | `table.rs` | the methods by name |
//! | `auth.rs` | whose call it is, and the signature of the answer |
//! | `envelope.rs` | the forms of requests and answers |
//! | `accounts.rs`, `passwords.rs` | the rules of accounts, sessions and passwords |
//! | `store/` | the databases that keep them |
//! | `config.rs`, `command.rs`, `process.rs`, `log.rs` | how the process is told what to do, and what it tells |
//! | `dev/` | development mode: methods are compiled and loaded while the server runs |
//! | `testing.rs` | the same without a socket |

#![cfg_attr(not(feature = "dev"), forbid(unsafe_code))]

// By this alone everything that is in the shared library is taken from there.
#[cfg(all(feature = "dev", target_os = "linux", target_env = "gnu"))]
use method_sdk_dylib as _;

mod accounts;
mod administer;
mod arrival;
mod auth;
mod client;
mod command;
pub mod config;
mod connection;
mod cors;
#[cfg(feature = "dev")]
mod dev;
mod dispatch;
mod envelope;
mod http;
mod inflight;
mod log;
mod passwords;
mod places;
mod process;
mod serve;
mod server;
mod store;
mod table;
#[cfg(feature = "sqlite")]
pub mod testing;

pub use command::main;
pub use server::{Server, StartError};
pub use store::OpenError;
