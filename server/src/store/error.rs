//! Why a database cannot be used.

use method_sdk::Error;
use thiserror::Error as ThisError;

use super::interface::Store;
use crate::config::Database;

/// The reason why a server cannot start on its database.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum StoreError {
    /// This build does not include the database.
    #[error("this build does not include {name}, only {included}; add it with `--features {name}`, as in `cargo build --release --features {name}`, or choose another `--database`", name = .0.name(), included = method_sdk::Database::KINDS.join(", "))]
    NotIncluded(Database),
    /// A configuration key that the database needs is not set.
    #[error("`database={}` requires {required}", .database.name())]
    MissingKey {
        /// The configured database.
        database: Database,
        /// The keys to set.
        required: &'static str,
    },
    /// A configuration key has an invalid value.
    #[error("invalid `{key}`: {problem}")]
    InvalidKey {
        /// The name of the key.
        key: &'static str,
        /// The problem with its value, without the secrets in it.
        problem: String,
    },
    /// The database refuses the server, or its schema does not fit.
    #[error("cannot use the database {description}: {cause}")]
    Unusable {
        /// The kind, name and address of the database.
        description: String,
        /// The error of the database.
        cause: String,
    },
}

impl StoreError {
    /// Creates the error for a store whose use failed with `error`.
    pub(crate) fn unusable(store: &dyn Store, error: &Error) -> Self {
        StoreError::Unusable { description: store.describe().to_owned(), cause: first_cause(error) }
    }
}

/// Returns the first cause only: the drivers' errors include their own causes.
pub(super) fn first_cause(error: &Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// The reason why a server cannot use the schema of a database.
#[derive(Debug, ThisError)]
pub(super) enum SchemaError {
    #[error(
        "its schema has version {version}, but this server supports versions up to {supported}; start the newer server that created it"
    )]
    Newer { version: i64, supported: i64 },
    #[error("its schema has the invalid version {version}")]
    Invalid { version: String },
}

impl SchemaError {
    /// Checks the version of a schema after the migrations.
    pub(super) fn check(version: i64, supported: i64) -> Result<(), Self> {
        match version {
            ..=-1 => Err(SchemaError::Invalid { version: version.to_string() }),
            _ if version > supported => Err(SchemaError::Newer { version, supported }),
            _ => Ok(()),
        }
    }
}
