//! `server client`: a client of the methods, in TypeScript or Python.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use method_build::Contract;
use method_build::client::{ClientFile, python, typescript};
use thiserror::Error;

use super::output::counted_methods;
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
pub(super) fn client(contract: &Contract, directory: &Path, client: &Client) -> Result<String, ClientError> {
    let (files, target) = match client {
        Client::Typescript { directory } => (typescript(contract), directory),
        Client::Python { directory } => (python(contract), directory),
    };
    let folder = directory.join(target);
    for file in &files {
        write(&folder.join(file.name), file)?;
    }
    let names: Vec<String> = files.iter().map(|file| target.join(file.name).display().to_string()).collect();
    Ok(format!("wrote {}, with {}", names.join(" and "), counted_methods(contract.methods.len())))
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
