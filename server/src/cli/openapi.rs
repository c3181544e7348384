//! `server openapi`: the methods as an OpenAPI document, read from their files.

use std::path::Path;

use method_build::{Contract, Package};
use method_sdk::Methods;

use super::error::CommandError;
use super::package;
use crate::config::application_folder;
use crate::transport::http::docs::document;

/// Returns the OpenAPI document of the application that `directory` is in, or of the one that was built for development mode. Nothing is
/// compiled for it. Types that are any JSON in it are listed by `warn`.
pub(super) fn openapi(methods: &Methods, directory: &Path, mut warn: impl FnMut(&str)) -> Result<String, CommandError> {
    let contract = contract(methods, directory)?;
    for unknown in &contract.unknown {
        warn(&format!("{} is any JSON in the document: {}", unknown.place, unknown.reason));
    }
    Ok(format!("{:#}", document::openapi(&contract)))
}

/// Reads the contract of the application that `directory` is in, or of the one that was built for development mode.
fn contract(methods: &Methods, directory: &Path) -> Result<Contract, CommandError> {
    let development = methods.development.map(|development| Path::new(development.directory));
    let folder = application_folder(directory).or_else(|error| development.ok_or(error))?;
    // The features are those that this program was built with.
    let built = Contract::from_json(methods.contract).map(|contract| contract.package).unwrap_or_default();
    let package = match package::Package::read(folder) {
        Some(package) => Package { name: package.name().to_owned(), version: package.version().to_owned(), ..built },
        None => built,
    };
    Ok(method_build::read(&folder.join("methods"), package).map_err(CommandError::Methods)?.contract())
}
