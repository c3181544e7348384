//! `server openapi`: the methods as an OpenAPI document, read from their files.

use std::path::Path;

use method_sdk::Methods;

use super::contract;
use super::error::CommandError;
use crate::transport::http::docs::document;

/// Returns the OpenAPI document of an application. Types that are any JSON in it are listed by `warn`.
pub(super) fn openapi(methods: &Methods, directory: &Path, warn: impl FnMut(&str)) -> Result<String, CommandError> {
    let contract = contract::read(methods, &contract::folder(methods, directory)?, warn)?;
    Ok(format!("{:#}", document::openapi(&contract)))
}
