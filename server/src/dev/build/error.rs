//! Why a build has no result.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use thiserror::Error;

use super::diagnostics::Diagnostic;
use crate::dev::sdk::SdkError;

/// Why methods were not built.
pub(crate) enum BuildError {
    /// They do not compile, or cannot be linked or loaded.
    Compile(Vec<Diagnostic>),
    /// No method can be built.
    Tool(ToolError),
}

impl BuildError {
    /// Returns `true` if the errors may be due to code that was left out of the build.
    pub(crate) fn may_be_missing_item(&self) -> bool {
        matches!(self, BuildError::Compile(diagnostics) if diagnostics.iter().any(Diagnostic::may_be_missing_item))
    }

    /// Returns the files with errors.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let diagnostics = match self {
            BuildError::Compile(diagnostics) => diagnostics.as_slice(),
            BuildError::Tool(_) => &[],
        };
        diagnostics.iter().flat_map(|diagnostic| &diagnostic.files)
    }
}

impl From<ToolError> for BuildError {
    fn from(error: ToolError) -> Self {
        BuildError::Tool(error)
    }
}

/// Why Cargo, rustc or the files around them cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ToolError {
    #[error(transparent)]
    Sdk(#[from] SdkError),
    #[error("cannot find the path of the running program: {0}")]
    Program(#[source] io::Error),
    #[error("cannot run `{command}`: {source}")]
    Run { command: String, source: io::Error },
    #[error("`{command}` failed: {stderr}")]
    Failed { command: String, stderr: String },
    #[error("cannot read the output of `{command}`: {reason}")]
    Output { command: String, reason: String },
    #[error(
        "this server was built by {built_by}, but the compiler of its methods is {found}; build it again, for example with `cargo dev`, or select \
        the same compiler for both"
    )]
    OtherCompiler { built_by: String, found: String },
    #[error("rustc did not finish ({0})")]
    Terminated(ExitStatus),
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("the build failed")]
    Rebuild,
}
