//! `server migrate`: applies the migrations of the application, without serving.

use method_sdk::Methods;

use super::error::CommandError;
use crate::account::AccountService;
use crate::server::StartError;
use crate::startup::Startup;

/// Applies the migrations that the database does not have yet, and returns a report.
pub(super) async fn migrate(accounts: &AccountService, methods: &Methods) -> Result<String, CommandError> {
    let connection = accounts.store().connection();
    let startup = Startup::new(methods);
    let applied = startup.migrate(connection).await.map_err(|error| StartError::Startup(error.to_string()))?;
    let lines: String = applied.iter().map(|file| format!("applied {file}\n")).collect();
    Ok(format!("{lines}{} is up to date", accounts.store().describe()))
}
