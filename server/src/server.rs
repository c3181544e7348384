//! A server, put together: a table of methods, a configuration and the database it names.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use method_sdk::{Methods, Registry};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::account::AccountService;
use crate::account::password::Passwords;
use crate::call::in_flight;
use crate::call::methods::MethodTable;
use crate::call::{self, Dispatcher};
use crate::config::Config;
use crate::log::{AccessLog, EventAccessLog};
use crate::store::{self, StoreError};
use crate::transport;
use crate::transport::http::{AppState, RequestIds};

/// Time between two removals of expired sessions.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);

/// A server that has its database and is ready to be given a listener.
pub struct Server {
    state: Arc<AppState>,
    has_inherited_listener: bool,
}

/// Time to close the connections to the database when everything else has ended.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a server cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] StoreError),
    /// The operating system gives no random bytes, or refuses something as basic.
    #[error("cannot start: {0}")]
    System(String),
    /// The application was built for development mode, and has no methods in it.
    #[error(
        "this is a build for development mode, in which methods are compiled while the server runs: use `cargo dev`, or build without the feature `dev`"
    )]
    Development,
}

impl Server {
    /// Opens the database and gets ready to serve these methods.
    ///
    /// # Errors
    /// The database cannot be opened, is a newer server's, or is not part of this version; or the methods are not, because the
    /// application was built for development mode.
    pub async fn new(methods: impl Into<Methods>, config: Config) -> Result<Self, StartError> {
        let access_log = Arc::new(EventAccessLog);
        Self::with_table(static_table(methods.into())?, config, Passwords::params(), access_log).await
    }

    pub(crate) async fn with_table(
        table: MethodTable,
        config: Config,
        params: argon2::Params,
        access_log: Arc<dyn AccessLog>,
    ) -> Result<Self, StartError> {
        let system = |error: &dyn std::fmt::Display| StartError::System(error.to_string());
        let passwords = Passwords::new(params).map_err(|error| system(&error))?;
        let ids = RequestIds::new().map_err(|error| system(&error))?;
        let store = store::open(&config).await?;
        let accounts = Arc::new(AccountService::new(store, passwords, config.session_ttl));
        let blocking = Arc::new(Semaphore::new(call::MAX_BLOCKING));
        let request_timeout = config.request_timeout;
        let dispatcher = Arc::new(Dispatcher { table, accounts, blocking, request_timeout, access_log });
        let detached = Arc::new(in_flight::DetachedCalls::default());
        Ok(Server { state: Arc::new(AppState { config, dispatcher, detached, ids }), has_inherited_listener: false })
    }

    /// The same server for a listener that stays open in another process, such as a service manager's: at the end of this server
    /// nobody is refused, and connections wait for the next one.
    #[must_use]
    pub fn with_inherited_listener(self) -> Self {
        Server { has_inherited_listener: true, ..self }
    }

    /// Serves what comes to `listener` until `shutdown` resolves, and then what is in flight, within `drain_timeout`.
    ///
    /// # Example
    /// ```no_run
    /// # async fn example(methods: &'static [method_sdk::Method]) -> Result<(), Box<dyn std::error::Error>> {
    /// let server = simpleapi_server::Server::new(methods, Default::default()).await?;
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// server.run(listener, async { tokio::signal::ctrl_c().await.unwrap_or_default() }).await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let accounts = self.dispatcher().accounts.clone();
        let expiry = async {
            loop {
                match accounts.delete_expired().await {
                    Ok(0) => {}
                    Ok(sessions) => tracing::debug!(sessions, "expired sessions removed"),
                    Err(error) => tracing::warn!("expired sessions stay for now: {error}"),
                }
                tokio::time::sleep(EXPIRY_INTERVAL).await;
            }
        };
        tokio::select! {
            () = transport::run(listener, self.has_inherited_listener, self.state.clone(), shutdown) => {}
            () = expiry => {}
        }
        // A method that was cut off may still hold a connection of the pool, and is not waited for.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, accounts.store().close()).await;
    }

    pub(crate) fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.state.dispatcher
    }
}

/// The table of methods that are built in.
///
/// # Errors
/// They are not: the application was built for development mode.
pub(crate) fn static_table(methods: Methods) -> Result<MethodTable, StartError> {
    match methods.development {
        Some(development) if development.reloads => Err(StartError::Development),
        _ => Ok(MethodTable::Static(Registry::new(methods.table))),
    }
}
