//! Whether the files of methods are formatted. `cargo fmt` does not know them, because a build script includes them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use walkdir::WalkDir;

/// The most files that a warning names.
const MAX_NAMED: usize = 8;

/// Returns the files of Rust in the application's folder of methods.
pub(crate) fn method_files(directory: &Path) -> Vec<PathBuf> {
    let is_hidden = |name: &OsStr| name.as_encoded_bytes().starts_with(b".");
    let entries = WalkDir::new(directory.join("methods")).sort_by_file_name().into_iter();
    let files = entries.filter_entry(|entry| !is_hidden(entry.file_name())).flatten().map(|entry| entry.into_path());
    files.filter(|file| file.extension() == Some(OsStr::new("rs"))).collect()
}

/// Returns those of these files that are not formatted. Returns `None` if rustfmt cannot be run.
pub(crate) fn unformatted<'a>(
    files: impl IntoIterator<Item = &'a PathBuf>,
    directory: &Path,
    edition: &str,
) -> Option<Vec<PathBuf>> {
    let mut files = files.into_iter().peekable();
    if files.peek().is_none() {
        return Some(Vec::new());
    }
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--check", "--files-with-diff", "--edition", edition]).args(files).current_dir(directory);
    let output = rustfmt.output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).collect())
}

/// Returns a warning about files that are not formatted, or `None` if there are none.
pub(crate) fn warning<'a>(
    files: impl IntoIterator<Item = &'a PathBuf>,
    directory: &Path,
    edition: &str,
) -> Option<String> {
    let name = |file: &PathBuf| file.strip_prefix(directory).unwrap_or(file).display().to_string();
    let files: Vec<_> = files.into_iter().map(name).collect();
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
