//! The server around a table of methods: from a socket to a response.
//!
//! In the order of a call:
//!
//! | file | |
//! |---|---|
//! | `server.rs`, `state.rs` | a server, assembled and run; the state that its requests share |
//! | `startup.rs` | migrations and the function `start` of the application, before the server is ready |
//! | `transport/` | the accept loop, connections, their limits and the shutdown |
//! | `transport/http/` | a request to a route, a body within its limits, a response to the client |
//! | `call/` | one call: authenticate, find the method, authorize, invoke, encode, sign |
//! | `account/` | the rules of accounts, sessions and passwords |
//! | `store/` | the databases |
//! | `config/` | the configuration keys and their sources |
//! | `cli/` | the program: its commands, output and exit statuses |
//! | `runtime.rs`, `log/` | the tokio runtime, the listener and signals; the log |
//! | `client_key.rs` | what counts as one client in every limit |
//! | `timeout.rs` | a timeout that costs nothing if its future is ready immediately |
//! | `testing.rs` | calls without a socket, for tests |
//! | `dev/` | development mode: methods are compiled and loaded while the server runs |

#![forbid(unsafe_code)]

// Makes rustc link everything that is in the shared library from there.
#[cfg(all(feature = "dev", target_os = "linux", target_env = "gnu"))]
use method_sdk_dylib as _;

mod account;
mod call;
mod cli;
mod client_key;
mod config;
#[cfg(feature = "dev")]
mod dev;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod heap;
mod log;
mod runtime;
mod server;
mod startup;
mod state;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod timeout;
mod transport;

pub use cli::main;
pub use config::{Config, Database, Docs, LogFormat, LogLevel, Secret};
pub use server::{Server, StartError};
pub use store::StoreError;
