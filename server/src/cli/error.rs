//! The errors of commands. The exit status follows from the variant.

use std::process::ExitCode;

use method_build::Problem;
use thiserror::Error;

use super::account::AccountError;
use super::client::ClientError;
use super::import::{ImportError, SourceError};
use super::init::InitError;
use super::lock::LockError;
use super::new::NewMethodError;
use super::output::{exit_failure, exit_usage};
use crate::config::{ConfigError, NoApplication};
use crate::runtime::RuntimeError;
use crate::server::StartError;

/// The reason why a command fails.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    NewMethod(#[from] NewMethodError),
    #[error(transparent)]
    Init(#[from] InitError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[cfg(not(feature = "dev"))]
    #[error(
        "this build does not include development mode; run `cargo dev`, or build with the feature `dev`: `cargo run --features dev -- dev`"
    )]
    NoDevelopmentMode,
    #[error(transparent)]
    NoApplication(#[from] NoApplication),
    #[error("{}", Problem::lines(.0))]
    Methods(Vec<Problem>),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Import(#[from] ImportError),
}

impl CommandError {
    /// Prints the error and returns the exit status: 2 if another command line, configuration or build is needed, 1 otherwise.
    pub(crate) fn exit(&self) -> ExitCode {
        let message = self.to_string();
        match self {
            Self::Init(InitError::Write { .. }) | Self::Client(ClientError::Write { .. }) => exit_failure(&message),
            Self::Config(_)
            | Self::Init(_)
            | Self::Client(_)
            | Self::NewMethod(_)
            | Self::NoApplication(_)
            | Self::Start(StartError::Development)
            | Self::Import(ImportError::Source(SourceError::Missing)) => exit_usage(&message),
            #[cfg(not(feature = "dev"))]
            Self::NoDevelopmentMode => exit_usage(&message),
            Self::Methods(_)
            | Self::Lock(_)
            | Self::Start(_)
            | Self::Runtime(_)
            | Self::Account(_)
            | Self::Import(_) => exit_failure(&message),
        }
    }
}
