//! Tests that need a Rust toolchain at run time: builds of other applications, the documents, and development mode.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "figures, for `--nocapture`")]

mod build;
mod clients;
mod development;
mod docs;
mod fidelity;
mod fixture;
mod openapi;
mod page;
mod rust_analyzer;
mod scratch_app;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the suite uses more of it")]
mod support;
