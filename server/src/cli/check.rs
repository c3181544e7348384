//! `server check`: verifies the configuration and the database, and warns of what is unsafe.

use std::path::Path;

use method_sdk::Methods;

use super::error::CommandError;
use super::formatting;
use super::methods::{self, MethodRow};
use super::output::warn;
use super::package::Package;
use super::serve::open_accounts;
use crate::config::{Config, application_folder};
use crate::runtime::block_on;
use crate::store::StoreError;

/// Connects to the database and returns a report, one line per subject. Prints the warnings of the start of a server, and those of an
/// address that other machines can reach; in the folder of an application also those of its method files. `config_file` is the name of the
/// configuration file, or where one was looked for.
pub(super) fn check(
    methods: Methods,
    config: Config,
    config_file: &str,
    directory: &Path,
) -> Result<String, CommandError> {
    let address = config.address;
    for warning in network_warnings(&config) {
        warn(&warning);
    }
    let database = block_on(async {
        let accounts = open_accounts(config).await?;
        let store = accounts.store();
        if let Some(warning) = store.warning() {
            warn(warning);
        }
        store.ping().await.map_err(|error| CommandError::Start(StoreError::unusable(store, &error).into()))?;
        Ok::<_, CommandError>(store.describe().to_owned())
    })??;
    let rows = methods::rows(methods)?;
    if let Some(warning) = methods::demo_warning(rows.iter().map(MethodRow::name), address) {
        warn(&warning);
    }
    if let Ok(directory) = application_folder(directory)
        && let Some(package) = Package::read(directory)
        && let Some(files) = formatting::unformatted(&formatting::method_files(directory), directory, package.edition())
        && let Some(warning) = formatting::warning(&files, directory, package.edition())
    {
        warn(&warning);
    }
    Ok(format!("configuration: ok ({config_file})\ndatabase: {database}, ok\nmethods: {}", rows.len()))
}

/// Returns what is unsafe about the address that the server listens on.
fn network_warnings(config: &Config) -> Vec<String> {
    let Config { address, .. } = config;
    if address.to_canonical().is_loopback() {
        return Vec::new();
    }
    let mut warnings = vec![format!(
        "signatures of version 1 prove nothing to those who read a request on its way to {address}: let it be reached only over TLS, \
        through a proxy, or over a network that you trust"
    )];
    if config.trusted_proxies.is_empty() {
        warnings.push(format!(
            "clients reach {address} without TLS and without the limits of a proxy: put a proxy in front, and list it in `trusted_proxies`"
        ));
    }
    warnings
}
