//! `server account`: creates, changes, lists and deletes accounts.

use std::io::{self, BufRead as _, IsTerminal as _};

use method_sdk::{Error, code};
use thiserror::Error as ThisError;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::output::{OutputError, write_line};
use super::prompt;
use crate::account::AccountService;
use crate::account::password::MAX_PASSWORD_BYTES;
use crate::config::{Account, without_byte_order_mark};
use crate::store::StoreError;

/// The number of accounts that are read from the database at a time.
const PAGE: i64 = 1000;

/// The reason why an account command fails.
#[derive(Debug, ThisError)]
pub(crate) enum AccountError {
    #[error("account {0:?} already exists")]
    Exists(String),
    #[error("account {0:?} does not exist")]
    NotFound(String),
    #[error("invalid user id {0:?}: expected 1 to 255 bytes without control characters")]
    InvalidUserId(String),
    #[error("invalid password: expected 1 to {MAX_PASSWORD_BYTES} bytes")]
    InvalidPassword,
    #[error("the passwords differ; nothing was changed")]
    PasswordsDiffer,
    #[error("cannot read the password: {0}")]
    Input(#[from] io::Error),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AccountError {
    fn new(accounts: &AccountService, user_id: &str, error: &Error) -> Self {
        let number = error.code();
        if number == code::USER_ID_TAKEN.number {
            AccountError::Exists(user_id.to_owned())
        } else if number == code::INVALID_USER_ID.number {
            AccountError::InvalidUserId(user_id.to_owned())
        } else if number == code::INVALID_PARAMETERS.number {
            AccountError::InvalidPassword
        } else {
            StoreError::unusable(accounts.store(), error).into()
        }
    }
}

/// Runs an account command and returns its message.
pub(crate) async fn account(accounts: &AccountService, command: &Account) -> Result<String, AccountError> {
    let failure = |user_id: &str, error: Error| AccountError::new(accounts, user_id, &error);
    match command {
        Account::Create { user_id } => {
            let created = accounts.create_without_session(user_id, &read_password().await?).await;
            created.map_err(|error| failure(user_id, error))?;
            Ok(format!("created account {user_id:?}"))
        }
        Account::Passwd { user_id } => {
            let changed = accounts.set_password(user_id, &read_password().await?).await;
            match changed.map_err(|error| failure(user_id, error))? {
                true => Ok(format!("changed the password of account {user_id:?}")),
                false => Err(AccountError::NotFound(user_id.clone())),
            }
        }
        Account::Delete { user_id } => {
            let deleted = accounts.store().delete_account(user_id).await;
            match deleted.map_err(|error| failure(user_id, error))? {
                true => Ok(format!("deleted account {user_id:?}")),
                false => Err(AccountError::NotFound(user_id.clone())),
            }
        }
        Account::List => list(accounts).await,
    }
}

/// Prints all accounts and returns a line with their number.
async fn list(accounts: &AccountService) -> Result<String, AccountError> {
    let mut count: u64 = 0;
    let mut last_user_id = String::new();
    loop {
        let page = accounts.store().accounts(&last_user_id, PAGE).await;
        let page = page.map_err(|error| StoreError::unusable(accounts.store(), &error))?;
        let Some(last) = page.last() else { break };
        last_user_id.clone_from(&last.user_id);
        for account in page {
            count += 1;
            if !write_line(&format!("{}  {}", utc(account.created), account.user_id))? {
                return Ok(String::new());
            }
        }
    }
    Ok(if count == 1 { "1 account".to_owned() } else { format!("{count} accounts") })
}

/// Asks for a new password twice on a terminal, and otherwise reads the first line of standard input.
async fn read_password() -> Result<String, AccountError> {
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        return Ok(without_byte_order_mark(&line).trim_end_matches(['\r', '\n']).to_owned());
    }
    let password = prompt::password("New password: ").await?;
    let repeated = prompt::password("Repeat the new password: ").await?;
    if password == repeated { Ok(password) } else { Err(AccountError::PasswordsDiffer) }
}

/// Formats unix seconds as `2026-11-24T11:15:26Z`.
fn utc(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| seconds.to_string())
}
