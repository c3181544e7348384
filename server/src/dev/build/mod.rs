//! Builds: from the sources of methods to loaded libraries.

pub(crate) mod application;
pub(crate) mod artifact_cache;
pub(crate) mod batch;
pub(crate) mod build_run;
pub(crate) mod compiler;
pub(crate) mod diagnostics;
pub(crate) mod error;
pub(crate) mod flags;
pub(crate) mod incremental;
pub(crate) mod linker;
