//! The whole server from the outside: bytes in, bytes out, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "figures, for `--nocapture`")]
#![cfg_attr(
    not(all(feature = "mongodb", feature = "mysql", feature = "postgres", feature = "sqlite")),
    allow(dead_code, unused_imports, unused_variables, reason = "few databases need few of the helpers")
)]

mod accounts;
mod administration;
mod behind;
mod build;
mod command;
mod databases;
mod development;
mod doors;
mod limits;
#[cfg(feature = "sqlite")]
mod methods;
mod outages;
mod queries;
mod readme;
mod scratch;
mod several;
mod stop;
mod streams;
mod support;
mod transcript;
