//! The whole server from the outside: bytes in, bytes out, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "figures, for `--nocapture`")]
#![cfg_attr(
    not(all(feature = "mongodb", feature = "mysql", feature = "postgres", feature = "sqlite")),
    allow(dead_code, unused_imports, unused_variables, reason = "few databases need few of the helpers")
)]

mod accounts;
mod administration;
mod build;
mod command;
mod database_outages;
mod databases;
mod development;
mod endpoints;
mod graceful_shutdown;
mod limits;
#[cfg(feature = "sqlite")]
mod methods;
mod multi_instance;
mod readme;
mod reverse_proxy;
mod round_trips;
mod scratch_app;
mod streams;
mod support;
mod wire_compat;
