//! Turns the files in `methods/` into the table of methods that a server is built with.
//!
//! A file is a method and a folder is a dot: `methods/account/login.rs` is `account.login`. The whole of an application's
//! `build.rs` is `fn main() { method_build::generate() }`, and that of its `src/lib.rs` is
//! `include!(concat!(env!("OUT_DIR"), "/methods.rs"));`. In the order of the path of a file:
//!
//! | | |
//! |---|---|
//! | `tree.rs` | which files there are, and whether their names are legal (`name.rs`) |
//! | `method.rs` | what one file says: its `invoke` (`function.rs`), its attributes (`attributes.rs`), its `//!` text |
//! | `write.rs` | the Rust source of the module tree and of the table |
//!
//! What is wrong on the way is collected as [`Problem`]s, so that one build tells all of it.

mod attributes;
mod function;
mod method;
mod name;
mod problem;
mod tree;
mod write;

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use walkdir::WalkDir;

pub use method::Method;
pub use name::check_name;
pub use problem::Problem;
pub use tree::{Tree, read};

/// Writes `$OUT_DIR/methods.rs` from the folder `methods` beside the `Cargo.toml`: all that a `build.rs` has to do.
///
/// Cargo runs it again when a file or folder of the tree changes, comes or goes. If something is wrong with the tree,
/// Cargo shows each problem and the build ends there.
///
/// # Panics
/// If it is not called from a build script.
pub fn generate() {
    let methods = PathBuf::from(set_by_cargo("CARGO_MANIFEST_DIR")).join("methods");
    let target = PathBuf::from(set_by_cargo("OUT_DIR")).join("methods.rs");
    watch(&methods);
    let problems = match read(&methods) {
        Ok(tree) => match fs::write(&target, tree.source()) {
            Ok(()) => return,
            Err(error) => vec![format!("{}: {error}", target.display())],
        },
        Err(problems) => problems.iter().map(Problem::to_string).collect(),
    };
    for problem in problems {
        tell_cargo("error", &problem);
    }
    process::exit(1);
}

fn set_by_cargo(variable: &str) -> std::ffi::OsString {
    env::var_os(variable).expect("Cargo sets it for every build script")
}

/// Names everything in the tree to Cargo, and the folder itself also when it does not exist yet.
fn watch(methods: &Path) {
    tell_cargo("rerun-if-changed", &methods.to_string_lossy());
    for entry in WalkDir::new(methods).min_depth(1).into_iter().flatten() {
        // A name that is not UTF-8 cannot be said to Cargo, but its folder is watched.
        if let Some(path) = entry.path().to_str() {
            tell_cargo("rerun-if-changed", path);
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is how a build script speaks to Cargo")]
fn tell_cargo(instruction: &str, text: &str) {
    // A file's name may hold a line break, and a new line would be a new instruction.
    println!("cargo::{instruction}={}", text.replace(['\n', '\r'], " "));
}
