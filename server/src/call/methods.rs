//! The methods that are resolved, by name: those that are built in or, in development mode, those that were loaded last.

use method_sdk::{Registry, Result};

use crate::call::codec;
pub(crate) use crate::call::resolved_method::ResolvedMethod;

/// The header of an answer from a method whose file has changed since and does not compile.
pub(crate) const STALE: &str = "x-simpleapi-stale";

/// All methods of a server.
pub(crate) enum MethodTable {
    Static(Registry),
    #[cfg(feature = "dev")]
    Live(std::sync::Arc<crate::call::live_methods::LiveMethods>),
}

impl MethodTable {
    /// The method of this name; in development mode waits for one that is being compiled for the first time.
    ///
    /// # Errors
    /// 1001: there is none. In development mode 1000 for one that has never compiled.
    pub(crate) async fn find(&self, name: &str) -> Result<ResolvedMethod> {
        match self {
            MethodTable::Static(registry) => {
                let method = registry.find(name).ok_or_else(|| codec::unknown_method(name))?;
                Ok(ResolvedMethod { method, is_stale: false })
            }
            #[cfg(feature = "dev")]
            MethodTable::Live(live) => live.find(name).await,
        }
    }
}
