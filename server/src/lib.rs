//! The server around a table of methods: from a socket to an answer, and back.
//!
//! In the order in which a call passes them:
//!
//! | file | |
//! |---|---|
//! | `transport/` | a listener, how many connections it takes, and the end; one connection and its time limits |
//! | `transport/http/` | a request on a connection to something to dispatch, an answer to a response |
//! | `call/` | the story of one call: the methods by name, sessions and signatures, the forms of requests and answers |
//! | `account/` | the rules of accounts, sessions and passwords |
//! | `store/` | the databases that keep them |
//! | `config/`, `cli/`, `runtime.rs`, `log.rs` | how the process is told what to do, and what it tells |
//! | `dev/` | development mode: methods are compiled and loaded while the server runs |
//! | `testing.rs` | the same without a socket |

#![forbid(unsafe_code)]

// By this alone everything that is in the shared library is taken from there.
#[cfg(all(feature = "dev", target_os = "linux", target_env = "gnu"))]
use method_sdk_dylib as _;

mod account;
mod call;
mod cli;
mod config;
#[cfg(feature = "dev")]
mod dev;
mod log;
mod runtime;
mod server;
mod state;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod transport;

pub use cli::main;
pub use config::{Config, Database, LogFormat, LogLevel, Secret};
pub use server::{Server, StartError};
pub use store::StoreError;
