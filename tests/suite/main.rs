//! The whole server from the outside: bytes in, bytes out, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod build;
mod command;
mod databases;
mod doors;
mod limits;
mod methods;
mod outages;
mod queries;
mod readme;
mod several;
mod stop;
mod streams;
mod support;
mod transcript;
