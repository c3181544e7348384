//! The methods that are served, by name: those that are built in or, in development mode, those that were loaded last.

use method_sdk::{Method, Registry, Result};

use crate::call::codec;

/// The header of an answer from a method whose file has changed since and does not compile.
pub(crate) const STALE: &str = "x-simpleapi-stale";

/// All methods of a server.
pub(crate) enum Table {
    BuiltIn(Registry),
    #[cfg(feature = "dev")]
    Live(std::sync::Arc<crate::call::live_methods::Live>),
}

/// A method, as it is served at this moment.
#[derive(Clone, Copy)]
pub(crate) struct Served {
    pub(crate) method: &'static Method,
    /// It is not what its file says now.
    pub(crate) is_stale: bool,
}

impl Table {
    /// The method of this name; in development mode waits for one that is being compiled for the first time.
    ///
    /// # Errors
    /// 1001: there is none. In development mode 1000 for one that has never compiled.
    pub(crate) async fn find(&self, name: &str) -> Result<Served> {
        match self {
            Table::BuiltIn(registry) => {
                let method = registry.find(name).ok_or_else(|| codec::unknown_method(name))?;
                Ok(Served { method, is_stale: false })
            }
            #[cfg(feature = "dev")]
            Table::Live(live) => live.find(name).await,
        }
    }
}
