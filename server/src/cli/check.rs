//! `server check`: verifies the configuration and the database.

use method_sdk::Methods;

use super::error::CommandError;
use super::methods::{self, MethodRow};
use super::output::warn;
use super::serve::open_accounts;
use crate::config::Config;
use crate::runtime::block_on;
use crate::store::StoreError;

/// Connects to the database and returns a report, one line per subject. Prints the warnings of the start of a server.
pub(super) fn check(methods: Methods, config: Config) -> Result<String, CommandError> {
    let address = config.address;
    let database = block_on(async {
        let accounts = open_accounts(config).await?;
        let store = accounts.store();
        store.ping().await.map_err(|error| CommandError::Start(StoreError::unusable(store, &error).into()))?;
        Ok::<_, CommandError>(store.describe().to_owned())
    })??;
    let rows = methods::rows(methods)?;
    if let Some(warning) = methods::demo_warning(rows.iter().map(MethodRow::name), address) {
        warn(&warning);
    }
    Ok(format!("configuration: ok\ndatabase: {database}, ok\nmethods: {}", rows.len()))
}
