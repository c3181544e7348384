//! Accounts from the command line.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use method_sdk::{Error, code};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::legacy as ancestor;
use crate::account::AccountService;
use crate::config::Account;
use crate::runtime::warn;
use crate::store::StoreError;

/// Accounts that are read from the database at a time.
const PAGE: i64 = 1000;

/// Accounts after which an import says how far it is.
const PROGRESS: u64 = 10_000;

/// What was done, or what stands in the way, in a sentence.
type CommandResult = Result<String, String>;

pub(crate) async fn account(accounts: &AccountService, command: &Account) -> CommandResult {
    let failed = |error: Error| told(accounts, &error);
    match command {
        Account::Create { user_id } => {
            accounts.create_without_session(user_id, &new_password()?).await.map_err(failed)?;
            Ok(format!("account {user_id:?} is made"))
        }
        Account::Passwd { user_id } => {
            let changed = accounts.set_password(user_id, &new_password()?).await.map_err(failed)?;
            changed.then(|| format!("account {user_id:?} has its new password")).ok_or_else(|| unknown(user_id))
        }
        Account::Delete { user_id } => {
            let deleted = accounts.store().delete_account(user_id).await.map_err(failed)?;
            deleted.then(|| format!("account {user_id:?} is removed")).ok_or_else(|| unknown(user_id))
        }
        Account::List => list(accounts).await,
    }
}

async fn list(accounts: &AccountService) -> CommandResult {
    let mut count: u64 = 0;
    let mut last = String::new();
    loop {
        let page = accounts.store().accounts(&last, PAGE).await.map_err(|error| told(accounts, &error))?;
        let Some(end) = page.last() else { break };
        last.clone_from(&end.user_id);
        let mut out = io::stdout().lock();
        for account in page {
            count += 1;
            if writeln!(out, "{}  {}", utc(account.created), account.user_id).is_err() {
                return Ok(String::new()); // a reader that has gone, such as `head`
            }
        }
    }
    Ok(format!("{count} accounts"))
}

/// Reads what there is and adds what is not here, so that it can be interrupted and repeated.
pub(crate) async fn import(accounts: &AccountService, url: String) -> CommandResult {
    let mut rows = ancestor::read(url);
    let (mut imported, mut present, mut refused) = (0_u64, 0_u64, 0_u64);
    while let Some(row) = rows.recv().await {
        let ancestor::Account { user_id, password } = row?;
        match accounts.import(&user_id, &password).await {
            Ok(true) => imported += 1,
            Ok(false) => present += 1,
            Err(error) if error.code() == code::INVALID_USER_ID.number => {
                refused += 1;
                warn(&format!(
                    "{user_id:?} is not taken over: not a user id of 1 to 255 bytes without control characters"
                ));
            }
            Err(error) if error.code() == code::INVALID_CREDENTIALS.number => {
                refused += 1;
                warn(&format!("{user_id:?} is not taken over: its password is not 64 hex digits"));
            }
            Err(error) => {
                return Err(format!("{}, after {imported} accounts; import again to go on", told(accounts, &error)));
            }
        }
        if (imported + present + refused).is_multiple_of(PROGRESS) {
            warn(&format!("{imported} accounts taken over so far"));
        }
    }
    let summary = format!("{imported} accounts taken over, {present} were here already, {refused} refused");
    if refused == 0 { Ok(summary) } else { Err(summary) }
}

/// Asked for twice on a terminal, else the first line of standard input.
fn new_password() -> Result<String, String> {
    let unreadable = |error: io::Error| format!("the password cannot be read: {error}");
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(unreadable)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let password = rpassword::prompt_password("New password: ").map_err(unreadable)?;
    let again = rpassword::prompt_password("Once more: ").map_err(unreadable)?;
    if password == again { Ok(password) } else { Err("the two passwords differ; nothing is changed".to_owned()) }
}

fn unknown(user_id: &str) -> String {
    format!("there is no account {user_id:?}")
}

/// An error in the words of whoever sits at the machine.
fn told(accounts: &AccountService, error: &Error) -> String {
    match error.source() {
        Some(_) => StoreError::unusable(accounts.store(), error).to_string(),
        None => error.message().to_owned(),
    }
}

/// `2026-11-24T11:15:26Z`, of unix seconds.
fn utc(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| seconds.to_string())
}
