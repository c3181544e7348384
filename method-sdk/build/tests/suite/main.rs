//! A tree of files in, problems or Rust source out.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod attributes;
mod build_script;
mod client;
mod contract;
mod contract_types;
mod functions;
mod lock;
mod names;
mod reader;
mod source;

use std::fs;
use std::path::Path;

use method_build::{Package, Tree, read};
use tempfile::TempDir;

const ASYNC: &str = "pub async fn invoke(handler: &mut Handler, params: Params) -> Result<Answer> { todo!() }\n";
const SYNC: &str = "pub fn invoke(handler: &mut Handler, params: Params) -> Result<Answer> { todo!() }\n";
const HOOK: &str = "pub async fn on_connection_close(closed: ClosedCall) {}\n";

/// A folder that holds `methods/` with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("methods")).unwrap();
    for (file, text) in files {
        let path = folder.path().join("methods").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn tree(files: &[(&str, &str)]) -> Tree {
    read(&folder(files).path().join("methods"), Package::default()).unwrap()
}

fn problems(files: &[(&str, &str)]) -> Vec<String> {
    problems_in(folder(files).path())
}

fn problems_in(folder: &Path) -> Vec<String> {
    let found = read(&folder.join("methods"), Package::default()).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

/// The problems of `methods/greet.rs` with this text, without its name.
fn wrong(text: &str) -> Vec<String> {
    let found = problems(&[("greet.rs", text)]);
    found.iter().map(|problem| problem.strip_prefix("methods/greet.rs:").unwrap().to_owned()).collect()
}

fn names(files: &[(&str, &str)]) -> Vec<String> {
    tree(files).methods().iter().map(|method| method.name.clone()).collect()
}
