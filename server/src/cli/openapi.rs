//! `server openapi`: the methods as an OpenAPI document, read from their files.

use std::path::Path;

use method_sdk::Methods;

use super::error::CommandError;
use crate::config::application_folder;

/// Returns the OpenAPI document of the application that `directory` is in, or of the one that was built for development mode. Nothing is
/// compiled for it. Types that are any JSON in it are listed by `warn`.
pub(super) fn openapi(methods: &Methods, directory: &Path, mut warn: impl FnMut(&str)) -> Result<String, CommandError> {
    let development = methods.development.map(|development| Path::new(development.directory));
    let folder = application_folder(directory).or(development);
    let folder = folder.ok_or_else(|| CommandError::NoApplication(directory.to_owned()))?;
    let tree = method_build::read(&folder.join("methods")).map_err(CommandError::Methods)?;
    let contract = tree.contract();
    for unknown in &contract.unknown {
        warn(&format!("{} is any JSON in the document: {}", unknown.place, unknown.reason));
    }
    let (title, version) = package(folder);
    Ok(format!("{:#}", contract.openapi(&title, &version)))
}

/// Returns the name and the version of the package in `folder`: as Cargo says, or those of the folder.
fn package(folder: &Path) -> (String, String) {
    let metadata = super::formatting::package(folder);
    let text = |member: &str| Some(metadata.as_ref()?[member].as_str()?.to_owned());
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    (text("name").unwrap_or(name), text("version").unwrap_or_else(|| "0.0.0".to_owned()))
}
