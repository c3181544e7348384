//! Turns the files in `methods/` into the table of methods that a server is built with.
//!
//! A file is a method and a folder is a dot: `methods/account/login.rs` is `account.login`. The whole of an application's
//! `build.rs` is `fn main() { method_build::generate() }`, and that of its `src/lib.rs` is
//! `include!(concat!(env!("OUT_DIR"), "/methods.rs"));`. In the order of the path of a file:
//!
//! | | |
//! |---|---|
//! | `walk.rs` | which files there are, and whether their names are legal (`name.rs`) |
//! | `tree.rs` | what is in them, and which of them a method needs (`references.rs`) |
//! | `method.rs` | what one file says: its `invoke` (`function.rs`), its attributes (`attributes.rs`), its `//!` text |
//! | `write.rs` | the Rust source of the module tree and of the table |
//!
//! A build reads the tree once, with [`read`]; development mode reads it again and again, with a [`TreeReader`].
//! What is wrong on the way is collected as [`Problem`]s, so that one build tells all of it.
#![forbid(unsafe_code)]

mod attributes;
mod function;
mod method;
mod name;
mod problem;
mod references;
mod tree;
mod walk;
mod write;

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use walkdir::WalkDir;

pub use method::Method;
pub use name::check_name;
pub use problem::Problem;
pub use tree::{MethodSources, Tree, TreeReader, read};

/// What a server in development mode has to know of its application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Development {
    /// The features of Cargo that the application is built with, separated by commas.
    pub features: String,
    /// Whether methods are compiled and loaded while the server runs, and so are not part of it.
    pub reloads: bool,
}

/// Writes `$OUT_DIR/methods.rs` from the folder `methods` beside the `Cargo.toml`: all that a `build.rs` has to do.
///
/// Cargo runs it again when a file or folder of the tree changes, comes or goes. If something is wrong with the tree,
/// Cargo shows each problem and the build ends there.
///
/// With the application's feature `dev` it prepares for development mode: where methods can be loaded while the server runs (Linux with
/// glibc, unless `SIMPLEAPI_DEV=restart` is set), none is built in.
///
/// # Panics
/// If it is not called from a build script.
pub fn generate() {
    let methods = PathBuf::from(set_by_cargo("CARGO_MANIFEST_DIR")).join("methods");
    let target = PathBuf::from(set_by_cargo("OUT_DIR")).join("methods.rs");
    let source = development().map_err(|problem| vec![problem]).and_then(|development| {
        if development.as_ref().is_some_and(|development| development.reloads) {
            tell_cargo("rerun-if-changed", "build.rs");
            return Ok(write::source(&[], &[], development.as_ref()));
        }
        watch(&methods);
        let tree = read(&methods).map_err(|problems| problems.iter().map(Problem::to_string).collect::<Vec<_>>())?;
        Ok(tree.source(development.as_ref()))
    });
    let written = source
        .and_then(|source| fs::write(&target, source).map_err(|error| vec![format!("{}: {error}", target.display())]));
    for problem in written.as_ref().err().into_iter().flatten() {
        tell_cargo("error", problem);
    }
    if written.is_err() {
        process::exit(1);
    }
}

/// Whether this is a build for development mode, and then what Cargo and the linker have to know.
fn development() -> Result<Option<Development>, String> {
    if env::var_os("CARGO_FEATURE_DEV").is_none() {
        return Ok(None);
    }
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        return Err("the feature `dev` is development mode, which is never part of a release build".to_owned());
    }
    tell_cargo("rerun-if-env-changed", "SIMPLEAPI_DEV");
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|is| is == value);
    let can_load = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    if can_load {
        // Where the SDK's and Rust's own shared libraries are, for a server that Cargo does not start; and before LD_LIBRARY_PATH, by which
        // Cargo would have the server of one application take the library of another.
        let rust = process::Command::new(set_by_cargo("RUSTC")).args(["--print", "target-libdir"]).output();
        let rust = rust.map_err(|error| format!("rustc does not say where its libraries are: {error}"))?;
        let rust = String::from_utf8_lossy(&rust.stdout).trim().to_owned();
        tell_cargo("rustc-link-arg-bins", &format!("-Wl,--disable-new-dtags,-rpath,$ORIGIN:$ORIGIN/deps:{rust}"));
    }
    let features = env::var("CARGO_CFG_FEATURE").unwrap_or_default();
    Ok(Some(Development { features, reloads: can_load && !is("SIMPLEAPI_DEV", "restart") }))
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
