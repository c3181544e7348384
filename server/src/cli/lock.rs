//! `server contract`: the lock of what callers rely on, and the changes that break them.

use std::path::{Path, PathBuf};
use std::{fs, io};

use method_build::{LOCK_FILE, Problem};
use thiserror::Error;

use super::output::counted_methods;
use crate::config::Contract;

/// The reason why the lock cannot be used, or the changes that it finds.
#[derive(Debug, Error)]
pub(crate) enum LockError {
    #[error("there is no {LOCK_FILE} in {}; `server contract accept` writes it", .0.display())]
    Missing(PathBuf),
    #[error("{LOCK_FILE}: {0}; `server contract accept` writes it again")]
    Invalid(#[from] serde_json::Error),
    #[error("{}\nthese changes break callers; undo them, or accept them with `server contract accept`", Problem::lines(.0))]
    Changes(Vec<Problem>),
    #[error("{} is not valid Rust, so that its types cannot be read; the build has the error", .0.display())]
    NotRust(PathBuf),
    #[error("{}: {error}", .file.display())]
    File { file: PathBuf, error: io::Error },
}

/// Compares the methods of the application in `folder` with its lock, or writes the lock.
pub(super) fn lock(contract: &method_build::Contract, folder: &Path, command: Contract) -> Result<String, LockError> {
    if let Some(file) = contract.unreadable.first() {
        return Err(LockError::NotRust(file.clone()));
    }
    let file = folder.join(LOCK_FILE);
    let methods = counted_methods(contract.methods.len());
    let old = match fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(LockError::File { file, error }),
    };
    match command {
        Contract::Check => {
            let old = old.ok_or_else(|| LockError::Missing(folder.to_owned()))?;
            let changes = contract.breaking_changes(&old)?;
            if !changes.is_empty() {
                return Err(LockError::Changes(changes));
            }
            let is_current = old == contract.lock();
            let hint = if is_current { "" } else { "; `server contract accept` adds what is new" };
            Ok(format!("no change breaks the callers of {methods}{hint}"))
        }
        Contract::Accept => {
            let changes = old.and_then(|old| contract.breaking_changes(&old).ok()).unwrap_or_default();
            fs::write(&file, contract.lock()).map_err(|error| LockError::File { file, error })?;
            let accepted: String = changes.iter().map(|change| format!("accepted: {change}\n")).collect();
            Ok(format!("{accepted}wrote {LOCK_FILE}, with {methods}"))
        }
    }
}
