//! The methods of a server, by name.

use std::sync::{Arc, OnceLock};

use http::HeaderName;
use method_build::{Contract, Package};
use method_sdk::{Methods, Registry, Result};

#[cfg(feature = "dev")]
use super::live_methods::LiveMethods;
pub(crate) use super::resolved_method::ResolvedMethod;
use super::resolved_method::unknown_method;

/// The response header of a method whose sources have changed since it was loaded and do not compile.
pub(crate) const STALE: HeaderName = HeaderName::from_static("x-simpleapi-stale");

/// All methods of a server.
pub(crate) enum MethodTable {
    /// The methods that are part of the application.
    Static(StaticMethods),
    /// The methods that development mode loads and replaces.
    #[cfg(feature = "dev")]
    Live(Arc<LiveMethods>),
}

/// The methods that are part of an application.
pub(crate) struct StaticMethods {
    registry: Registry,
    contract_json: &'static str,
    /// Read when it is first needed.
    contract: OnceLock<Option<Arc<Contract>>>,
}

impl StaticMethods {
    pub(crate) fn new(methods: &Methods) -> Self {
        StaticMethods {
            registry: Registry::new(methods.table),
            contract_json: methods.contract,
            contract: OnceLock::new(),
        }
    }
}

/// Returns the package that the methods were built from, as far as it is known.
pub(crate) fn package(methods: &Methods) -> Package {
    Contract::from_json(methods.contract).map(|contract| contract.package).unwrap_or_default()
}

impl MethodTable {
    /// Finds the method of this name. In development mode, waits for a method that is being compiled for the first time.
    ///
    /// # Errors
    /// Returns error 1001 (Cannot call this method) if there is no such method and, in development mode, error 1000 (Server error) if it
    /// has never compiled.
    pub(crate) async fn find(&self, name: &str) -> Result<ResolvedMethod> {
        match self {
            MethodTable::Static(methods) => {
                let method = methods.registry.find(name).ok_or_else(|| unknown_method(name))?;
                Ok(ResolvedMethod { method, is_stale: false })
            }
            #[cfg(feature = "dev")]
            MethodTable::Live(live) => live.find(name).await,
        }
    }

    /// Returns what the methods take and return, or `None` if it is not known, as for a table that was written without `method-build`.
    pub(crate) fn contract(&self) -> Option<Arc<Contract>> {
        match self {
            MethodTable::Static(methods) => {
                methods.contract.get_or_init(|| Contract::from_json(methods.contract_json).ok().map(Arc::new)).clone()
            }
            #[cfg(feature = "dev")]
            MethodTable::Live(live) => live.contract(),
        }
    }
}
