//! `server import`: creates the accounts of a Python version's database.

use std::io;
use std::path::Path;

use method_sdk::code;
use thiserror::Error;
use tokio::sync::mpsc;

use super::output::warn;
use crate::account::AccountService;
use crate::config::read_value;
use crate::store::StoreError;

/// The number of accounts between two progress messages.
const PROGRESS: u64 = 10_000;

/// The number of accounts that are read ahead.
const READ_AHEAD: usize = 100;

/// An account of the Python version.
struct LegacyAccount {
    user_id: String,
    /// The SHA-256 of the password, in hex.
    password: String,
}

/// The reason why an import fails.
#[derive(Debug, Error)]
pub(crate) enum ImportError {
    /// The import is complete except for invalid accounts.
    #[error("{0}")]
    Rejected(String),
    #[error("{error}; {imported} accounts were imported before, repeat the command to import the others")]
    Store { error: StoreError, imported: u64 },
    #[error("cannot read the Python version's accounts: {0}")]
    Source(#[from] SourceError),
}

/// The reason why the accounts of a Python version cannot be read.
#[derive(Debug, Error)]
pub(crate) enum SourceError {
    #[error(
        "`server import` requires {SCHEMES}, after `--from`, in a file after `--from_file`, or in `SIMPLEAPI_IMPORT_FROM`"
    )]
    Missing,
    #[error("cannot read the file after `--from_file`: {0}")]
    File(#[source] io::Error),
    #[error("`--from` requires {SCHEMES}")]
    Scheme,
    #[cfg(feature = "mongodb")]
    #[error("{}", crate::store::mongodb::describe_url_error(.0))]
    Mongodb(#[from] ::mongodb::error::Error),
    #[cfg(feature = "mysql")]
    #[error("{0}")]
    Mysql(#[from] sqlx::Error),
}

const SCHEMES: &str = if cfg!(all(feature = "mongodb", feature = "mysql")) {
    "a URL that starts with `mongodb://` or `mysql://`"
} else if cfg!(feature = "mongodb") {
    "a URL that starts with `mongodb://`; for `mysql://`, build with `--features mysql`"
} else if cfg!(feature = "mysql") {
    "a URL that starts with `mysql://`; for `mongodb://`, build with `--features mongodb`"
} else {
    "a URL of MongoDB or MySQL; this build includes neither: build with `--features mongodb` or `--features mysql`"
};

/// Returns the URL in `from`, or else the one in the file at `from_file`, without a newline at its end. Errors do not contain the path,
/// because the operator may have put the URL itself there.
pub(super) fn source_url(from: Option<String>, from_file: Option<&Path>) -> Result<String, ImportError> {
    let url = match (from, from_file) {
        (Some(url), _) => url,
        (None, Some(path)) => read_value(path).map_err(SourceError::File)?.trim_end().to_owned(),
        (None, None) => String::new(),
    };
    if url.is_empty() { Err(SourceError::Missing.into()) } else { Ok(url) }
}

/// Imports the accounts of the Python version's database at `url`, and returns a summary.
///
/// Accounts that exist already stay as they are, so that an interrupted import can be repeated.
pub(crate) async fn import(accounts: &AccountService, url: String) -> Result<String, ImportError> {
    let mut legacy_accounts = read(url);
    let (mut imported, mut existing, mut rejected) = (0_u64, 0_u64, 0_u64);
    while let Some(account) = legacy_accounts.recv().await {
        let LegacyAccount { user_id, password } = account?;
        match accounts.import(&user_id, &password).await {
            Ok(true) => imported += 1,
            Ok(false) => existing += 1,
            Err(error) if error.code() == code::INVALID_USER_ID.number => {
                rejected += 1;
                warn(&format!("rejected {user_id:?}: its user id is not 1 to 255 bytes without control characters"));
            }
            Err(error) if error.code() == code::INVALID_CREDENTIALS.number => {
                rejected += 1;
                warn(&format!("rejected {user_id:?}: its password hash is not 64 lowercase hex digits"));
            }
            Err(error) => {
                return Err(ImportError::Store { error: StoreError::unusable(accounts.store(), &error), imported });
            }
        }
        if (imported + existing + rejected).is_multiple_of(PROGRESS) {
            warn(&format!("imported {imported} accounts so far"));
        }
    }
    let summary = format!("imported {imported} accounts, {existing} already existed, {rejected} were rejected");
    if rejected == 0 { Ok(summary) } else { Err(ImportError::Rejected(summary)) }
}

/// The accounts of a database, or the error that ends them.
#[cfg(any(feature = "mongodb", feature = "mysql"))]
type Sender = mpsc::Sender<Result<LegacyAccount, SourceError>>;

/// Reads all accounts of the database at `url`. An error is the last item.
fn read(url: String) -> mpsc::Receiver<Result<LegacyAccount, SourceError>> {
    let (accounts, receiver) = mpsc::channel(READ_AHEAD);
    tokio::spawn(async move {
        let outcome: Result<(), SourceError> = match url.split_once("://") {
            #[cfg(feature = "mongodb")]
            Some(("mongodb" | "mongodb+srv", _)) => mongodb::read(&url, &accounts).await.map_err(Into::into),
            #[cfg(feature = "mysql")]
            Some(("mysql" | "mariadb", _)) => mysql::read(&url, &accounts).await.map_err(Into::into),
            _ => Err(SourceError::Scheme),
        };
        if let Err(error) = outcome {
            // The receiver has stopped if the import failed.
            let _ = accounts.send(Err(error)).await;
        }
    });
    receiver
}

#[cfg(feature = "mongodb")]
mod mongodb {
    use ::mongodb::bson::{Document, doc};
    use ::mongodb::{Client, error::Result};

    use super::{LegacyAccount, Sender};

    /// The Python version's default.
    const DATABASE: &str = "simple_api_server";

    pub(super) async fn read(url: &str, accounts: &Sender) -> Result<()> {
        let client = Client::with_uri_str(url).await?;
        let database = client.default_database().unwrap_or_else(|| client.database(DATABASE));
        let fields = doc! { "user_id": 1, "password": 1 };
        let mut cursor = database.collection::<Document>("accounts").find(doc! {}).projection(fields).await?;
        while cursor.advance().await? {
            let account = cursor.deserialize_current()?;
            let text = |field| account.get_str(field).unwrap_or_default().to_owned();
            if accounts.send(Ok(LegacyAccount { user_id: text("user_id"), password: text("password") })).await.is_err()
            {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(feature = "mysql")]
mod mysql {
    use futures_util::TryStreamExt;
    use sqlx::mysql::MySqlConnection;
    use sqlx::{Connection, Result};

    use super::{LegacyAccount, Sender};

    pub(super) async fn read(url: &str, accounts: &Sender) -> Result<()> {
        let mut connection = MySqlConnection::connect(url).await?;
        let select = "SELECT CONVERT(user_id USING utf8mb4), CONVERT(password USING utf8mb4) FROM account";
        let mut rows = sqlx::query_as::<_, (String, Option<String>)>(select).fetch(&mut connection);
        while let Some((user_id, password)) = rows.try_next().await? {
            let password = password.unwrap_or_default();
            if accounts.send(Ok(LegacyAccount { user_id, password })).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}
