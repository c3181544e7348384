//! The contract of an application, read from its files.

use std::path::{Path, PathBuf};

use method_build::{Contract, Package};
use method_sdk::Methods;

use super::error::CommandError;
use super::package;
use crate::call::methods as method_table;
use crate::config::application_folder;

/// Returns the folder of the application that `directory` is in, or of the one that was built for development mode.
pub(super) fn folder(methods: &Methods, directory: &Path) -> Result<PathBuf, CommandError> {
    let development = methods.development.map(|development| Path::new(development.directory));
    Ok(application_folder(directory).or_else(|error| development.ok_or(error))?.to_owned())
}

/// Reads the contract of the application in `folder`. Nothing is compiled for it. Types that are any JSON in it are listed by `warn`.
pub(super) fn read(methods: &Methods, folder: &Path, mut warn: impl FnMut(&str)) -> Result<Contract, CommandError> {
    // The features are those that this program was built with.
    let built = method_table::package(methods);
    let package = match package::Package::read(folder) {
        Some(package) => Package { name: package.name().to_owned(), version: package.version().to_owned(), ..built },
        None => built,
    };
    let tree = method_build::read(&folder.join("methods"), package).map_err(CommandError::Methods)?;
    let contract = tree.contract();
    for unknown in &contract.unknown {
        warn(&format!("{} is any JSON: {}", unknown.place, unknown.reason));
    }
    Ok(contract)
}
