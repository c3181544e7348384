//! `method-sdk` as one shared library: what a server in development mode and the methods that it loads have in common.
#![forbid(unsafe_code)]

pub use method_sdk::*;

#[doc(hidden)]
pub mod preinstantiated;
