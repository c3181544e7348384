//! `server serve`: serves the methods until a signal.

use std::process::ExitCode;
use std::sync::Arc;

use method_sdk::{Method, Methods};

use super::error::CommandError;
use super::methods::demo_warning;
use super::output::exit_at_second_signal;
use crate::account::AccountService;
use crate::account::password::Passwords;
use crate::config::Config;
use crate::log::{AccessLog, LogWriter};
use crate::runtime::{self, BoundListener, RuntimeError, block_on};
use crate::server::{StartError, static_table};
use crate::startup::Startup;
use crate::{Server, log};

/// Serves the methods, and returns after a graceful shutdown.
pub(super) fn serve(methods: Methods, config: Config) -> Result<ExitCode, CommandError> {
    let (access_log, log_thread) = log::init(&config).map_err(RuntimeError::Threads)?;
    let config = runtime::fit_into_descriptor_limit(config);
    block_on(run(methods, config, access_log, log_thread.writer().clone()))??;
    Ok(ExitCode::SUCCESS)
}

async fn run(
    methods: Methods,
    config: Config,
    access_log: Arc<dyn AccessLog>,
    log: LogWriter,
) -> Result<(), CommandError> {
    let server = Server::with_methods(
        static_table(methods)?,
        Startup::new(&methods),
        config.clone(),
        Passwords::params(),
        access_log,
    )
    .await?;
    let BoundListener { listener, address, is_inherited } = runtime::listen(&config).await?;
    let server = if is_inherited { server.with_inherited_listener() } else { server };
    let shutdown = runtime::shutdown_signal(move || exit_at_second_signal(&log))?;
    if let Some(warning) = server.accounts().store().warning() {
        tracing::warn!("{warning}");
    }
    let database = server.accounts().store().connection().db().kind();
    if let Some(warning) = demo_warning(methods.table.iter().map(|method| method.name), address.ip()) {
        tracing::warn!("{warning}");
    }
    tracing::info!(methods = methods.table.len(), database, "listening on http://{address}");
    server.run(listener, shutdown).await;
    Ok(())
}

/// Opens the accounts of the configured database, for a command that serves no methods.
pub(super) async fn open_accounts(config: Config) -> Result<Arc<AccountService>, StartError> {
    let methods: &'static [Method] = &[];
    Ok(Server::new(methods, config).await?.accounts().clone())
}
