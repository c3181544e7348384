//! `server openapi`: the methods as an OpenAPI document.

use method_build::Contract;

use crate::transport::http::docs::document;

/// Returns the OpenAPI document of an application.
pub(super) fn openapi(contract: &Contract) -> String {
    format!("{:#}", document::openapi(contract))
}
