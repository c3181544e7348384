//! The conventions of CONTRIBUTING.md and the invariants of ARCHITECTURE.md, checked against the text of the repository.
//!
//! | file | |
//! |---|---|
//! | `words.rs` | the word list: words that the project does not use, and what to write instead |
//! | `openings.rs` | how documentation opens |
//! | `names.rs` | type and function names that have been replaced |
//! | `circles.rs` | files that import each other |
//! | `methods.rs` | inherent and trait methods of one name |
//! | `boundaries.rs` | which file may name which package, `unsafe`, `unwrap` |
//! | `hardening.rs` | the tests that docs/hardening.md names |
//! | `code.rs` | Rust source without comments, strings and tests, as tokens |

#![allow(clippy::unwrap_used, reason = "an unreadable file fails the test")]
#![allow(clippy::print_stdout, reason = "counts, for `--nocapture`")]

mod boundaries;
mod circles;
mod code;
mod hardening;
mod methods;
mod names;
mod openings;
mod words;

use std::path::{Path, PathBuf};

/// Returns the root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the paths of all files below a folder of the repository, relative to its root, in alphabetical order.
fn files(folder: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            if !path.is_dir() {
                paths.push(path);
            } else if !["target", ".git", "node_modules"].contains(&&*name.to_string_lossy()) {
                folders.push(path);
            }
        }
    }
    let relative = |path: PathBuf| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    let mut paths: Vec<String> = paths.into_iter().map(relative).collect();
    paths.sort();
    paths
}

/// Returns the paths of the Rust files below a folder.
fn rust_files(folder: &str) -> Vec<String> {
    let mut paths = files(folder);
    paths.retain(|path| path.ends_with(".rs"));
    paths
}

/// Returns the text of a file, or `None` if it is not UTF-8.
fn text(path: &str) -> Option<String> {
    String::from_utf8(std::fs::read(root().join(path)).unwrap()).ok()
}

/// Fails with one finding a line.
fn assert_none(findings: &[String], rule: &str) {
    assert!(findings.is_empty(), "{rule}: {} findings\n{}\n", findings.len(), findings.join("\n"));
}
