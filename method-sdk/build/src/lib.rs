//! Turns the files in `methods/` into the table of methods that a server is built with.
//!
//! A file is a method and a folder is a dot: `methods/account/login.rs` is `account.login`. An application's `build.rs` is
//! `fn main() { method_build::generate() }`, and its `src/lib.rs` is `include!(concat!(env!("OUT_DIR"), "/methods.rs"));`.
//! In the order in which a file passes them:
//!
//! | file | |
//! |---|---|
//! | `build_script.rs`, `package.rs` | what Cargo runs, and what it says of the application |
//! | `reader.rs`, `source_file.rs` | reads the tree again after a change, and only the files that have changed |
//! | `walk.rs`, `name.rs` | the files in the tree, and whether their names are valid |
//! | `method.rs`, `function.rs`, `attributes.rs` | the contents of one file: its functions, its attributes, its `//!` text |
//! | `tree.rs` | the methods of a tree |
//! | `start.rs`, `migrations.rs` | what runs before a server is ready: the function `start`, and migrations |
//! | `references.rs`, `dependencies.rs` | the other files that a method refers to |
//! | `contract/` | what the methods take and return, as JSON Schema |
//! | `client/` | clients in TypeScript and Python, generated from the contract |
//! | `write.rs` | the Rust source of the module tree and of the table |
//!
//! A build reads the tree once, with [`read`]; development mode reads it repeatedly, with a [`TreeReader`]. Errors are collected as
//! [`Problem`]s, so that one build reports all of them.
#![forbid(unsafe_code)]

mod attributes;
mod build_script;
pub mod client;
mod contract;
mod dependencies;
mod function;
mod method;
mod migrations;
mod name;
mod package;
mod problem;
mod reader;
mod references;
mod source_file;
mod start;
mod tree;
mod walk;
mod write;

pub use build_script::generate;
pub use contract::{Contract, LOCK_FILE, MethodContract, OwnError, Place, ServerError, SessionEffect, UnknownType};
pub use dependencies::MethodSources;
pub use method::Method;
pub use migrations::{MIGRATIONS_FOLDER, Migration, read_migrations};
pub use name::{NameError, check_name};
pub use package::Package;
pub use problem::Problem;
pub use reader::{TreeReader, read};
pub use tree::Tree;
pub use write::Development;
