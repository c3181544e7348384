//! From the source of methods to libraries: what Cargo knows, rustc, and what is kept.

pub(crate) mod application;
pub(crate) mod artifact_cache;
pub(crate) mod batch;
pub(crate) mod compiler;
pub(crate) mod diagnostics;
pub(crate) mod incremental;
pub(crate) mod linker;
