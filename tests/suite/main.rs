//! The whole server from the outside: bytes in, bytes out, over real sockets.

mod accounts;
mod build;
mod command;
mod doors;
mod limits;
mod methods;
mod several;
mod stop;
mod streams;
mod support;
mod transcript;
