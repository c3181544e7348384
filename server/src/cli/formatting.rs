//! Whether the files of methods are formatted. `cargo fmt` does not know them, because a build script includes them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use method_build::TreeReader;
use serde_json::Value;

/// The most files that a warning names.
const MAX_NAMED: usize = 8;

/// Returns a warning about the method files of the application in `directory` that are not formatted. Returns `None` if all are, or if
/// rustfmt cannot be run.
pub(crate) fn warning(directory: &Path, edition: &str) -> Option<String> {
    let files = method_files(directory);
    if files.is_empty() {
        return None;
    }
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--check", "--files-with-diff", "--edition", edition]).args(files).current_dir(directory);
    let output = rustfmt.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let files: Vec<_> = text
        .lines()
        .map(|file| Path::new(file).strip_prefix(directory).unwrap_or(Path::new(file)).display().to_string())
        .collect();
    let command = format!("rustfmt --edition {edition}");
    match &files[..] {
        [] => None,
        [file] => Some(format!("{file} is not formatted; run `{command} {file}`")),
        files if files.len() <= MAX_NAMED => {
            Some(format!("{} method files are not formatted; run `{command} {}`", files.len(), files.join(" ")))
        }
        files => Some(format!(
            "{} method files are not formatted; run `find methods -name '*.rs' -exec {command} {{}} +`",
            files.len()
        )),
    }
}

/// Returns the edition of Rust that the application in `directory` is written in, if Cargo knows it.
pub(super) fn edition(directory: &Path) -> Option<String> {
    let manifest = directory.join("Cargo.toml");
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--no-deps", "--format-version=1", "--manifest-path"]).arg(&manifest);
    let metadata: Value = serde_json::from_slice(&cargo.output().ok()?.stdout).ok()?;
    let packages = metadata["packages"].as_array()?;
    let package =
        packages.iter().find(|package| package["manifest_path"].as_str().map(Path::new) == Some(&manifest))?;
    Some(package["edition"].as_str()?.to_owned())
}

fn method_files(directory: &Path) -> Vec<PathBuf> {
    let tree = TreeReader::new(&directory.join("methods")).read();
    let files = tree.directories().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    files.map(|file| file.path()).filter(|file| file.extension() == Some(OsStr::new("rs"))).collect()
}
