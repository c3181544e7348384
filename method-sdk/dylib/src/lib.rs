//! `method-sdk` as one shared library, for a server in development mode and the methods that it loads.
#![forbid(unsafe_code)]

pub use method_sdk::*;

#[cfg(feature = "sqlite")]
use simpleapi_sqlite as _;

#[doc(hidden)]
pub mod preinstantiated;
