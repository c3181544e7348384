//! The whole server from the outside: bytes in, bytes out, over real sockets. Nothing here needs a compiler at run time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "figures, for `--nocapture`")]
#![cfg_attr(
    not(all(feature = "mongodb", feature = "mysql", feature = "postgres", feature = "sqlite")),
    allow(dead_code, unused_imports, unused_variables, reason = "few databases need few of the helpers")
)]

mod abuse;
mod accounts;
mod administration;
mod command;
mod database_outages;
mod databases;
mod documentation;
mod endpoints;
mod faults;
#[cfg(feature = "sqlite")]
mod fuzz_corpus;
mod graceful_shutdown;
mod http;
mod http2;
mod limits;
#[cfg(feature = "sqlite")]
mod log;
#[cfg(feature = "sqlite")]
mod methods;
mod migrations;
mod multi_instance;
mod process;
mod reverse_proxy;
mod round_trips;
mod server;
mod streams;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the toolchain tests use more of it")]
mod support;
mod throttling;
mod wire_compat;
