//! Libraries into this process.

#[allow(unsafe_code, reason = "a library is loaded, and called across the boundary")]
pub(crate) mod loader;
pub(crate) mod sdk;
