//! `server client`: a client of the methods, in TypeScript or Python.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use method_build::client::{ClientFile, python, typescript};
use method_sdk::Methods;
use thiserror::Error;

use super::contract;
use super::error::CommandError;
use crate::config::Client;

/// The reason why a client cannot be written.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    #[error("{} exists and is no generated client; choose another folder", .0.display())]
    Foreign(PathBuf),
    #[error("cannot write {}: {error}", .file.display())]
    Write { file: PathBuf, error: io::Error },
}

/// Writes the client of an application into a folder, which is relative to the current `directory`, and returns the message of success.
/// Types that are any JSON in it are listed by `warn`.
pub(super) fn client(
    methods: &Methods,
    directory: &Path,
    client: &Client,
    warn: impl FnMut(&str),
) -> Result<String, CommandError> {
    let contract = contract::read(methods, &contract::folder(methods, directory)?, warn)?;
    let (files, target) = match client {
        Client::Typescript { directory } => (typescript(&contract), directory),
        Client::Python { directory } => (python(&contract), directory),
    };
    let folder = directory.join(target);
    for file in &files {
        write(&folder.join(file.name), file)?;
    }
    let names: Vec<String> = files.iter().map(|file| target.join(file.name).display().to_string()).collect();
    Ok(format!("wrote {}, with {} methods", names.join(" and "), contract.methods.len()))
}

/// Writes a file, unless it exists and no earlier version of this command has written it.
fn write(path: &Path, file: &ClientFile) -> Result<(), ClientError> {
    let failed = |error| ClientError::Write { file: path.to_owned(), error };
    match fs::read(path) {
        Ok(text) if text == file.text.as_bytes() => return Ok(()),
        Ok(text) if !String::from_utf8_lossy(&text).contains("`server client ") => {
            return Err(ClientError::Foreign(path.to_owned()));
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    fs::create_dir_all(path.parent().unwrap_or(path)).and_then(|()| fs::write(path, &file.text)).map_err(failed)
}
