//! `server openapi`: the methods as an OpenAPI document, read from their files.

use std::path::Path;

use method_sdk::Methods;

use super::error::CommandError;
use super::package::Package;
use crate::config::application_folder;

/// Returns the OpenAPI document of the application that `directory` is in, or of the one that was built for development mode. Nothing is
/// compiled for it. Types that are any JSON in it are listed by `warn`.
pub(super) fn openapi(methods: &Methods, directory: &Path, mut warn: impl FnMut(&str)) -> Result<String, CommandError> {
    let development = methods.development.map(|development| Path::new(development.directory));
    let folder = application_folder(directory).or_else(|error| development.ok_or(error))?;
    let tree = method_build::read(&folder.join("methods")).map_err(CommandError::Methods)?;
    let contract = tree.contract();
    for unknown in &contract.unknown {
        warn(&format!("{} is any JSON in the document: {}", unknown.place, unknown.reason));
    }
    let folder_name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let package = Package::read(folder);
    let (title, version) =
        package.as_ref().map_or((&*folder_name, "0.0.0"), |package| (package.name(), package.version()));
    Ok(format!("{:#}", contract.openapi(title, version)))
}
