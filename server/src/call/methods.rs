//! The methods of a server, by name.

use http::HeaderName;
use method_sdk::{Registry, Result};

#[cfg(feature = "dev")]
use super::live_methods::LiveMethods;
pub(crate) use super::resolved_method::ResolvedMethod;
use super::resolved_method::unknown_method;

/// The response header of a method whose sources have changed since it was loaded and do not compile.
pub(crate) const STALE: HeaderName = HeaderName::from_static("x-simpleapi-stale");

/// All methods of a server.
pub(crate) enum MethodTable {
    /// The methods that are part of the application.
    Static(Registry),
    /// The methods that development mode loads and replaces.
    #[cfg(feature = "dev")]
    Live(std::sync::Arc<LiveMethods>),
}

impl MethodTable {
    /// Finds the method of this name. In development mode, waits for a method that is being compiled for the first time.
    ///
    /// # Errors
    /// Returns error 1001 (Cannot call this method) if there is no such method and, in development mode, error 1000 (Server error) if it
    /// has never compiled.
    pub(crate) async fn find(&self, name: &str) -> Result<ResolvedMethod> {
        match self {
            MethodTable::Static(registry) => {
                let method = registry.find(name).ok_or_else(|| unknown_method(name))?;
                Ok(ResolvedMethod { method, is_stale: false })
            }
            #[cfg(feature = "dev")]
            MethodTable::Live(live) => live.find(name).await,
        }
    }
}
