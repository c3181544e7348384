//! A server, put together from a table of methods, a configuration and its database.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use method_sdk::Methods;
use thiserror::Error;
use tokio::net::TcpListener;

use crate::account::AccountService;
use crate::account::password::Passwords;
use crate::call::Dispatcher;
use crate::call::in_flight::DetachedCalls;
use crate::call::methods::{MethodTable, StaticMethods};
use crate::config::{Config, Database};
use crate::heap;
use crate::log::{AccessLog, EventAccessLog, Repeated};
use crate::startup::Startup;
use crate::state::AppState;
use crate::store::{self, StoreError};
use crate::transport;
use crate::transport::http::docs::document::DocumentCache;
use crate::transport::http::request::RequestIds;
use crate::transport::memory::MemoryBudget;

/// The time between two deletions of expired sessions.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);

/// The time for database connections to close at the end of a server.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A server that has opened its database and can be given a listener.
pub struct Server {
    state: Arc<AppState>,
    has_inherited_listener: bool,
}

/// The reason why a server cannot start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] StoreError),
    /// The operating system provides no random bytes.
    #[error("cannot start: {0}")]
    Random(#[from] getrandom::Error),
    /// Passwords cannot be hashed.
    #[error("cannot start: {0}")]
    Password(String),
    /// The application was built for development mode and contains no methods.
    #[error(
        "this is a build for development mode, which compiles methods while the server runs: use `cargo dev`, or build without the feature `dev`"
    )]
    Development,
    /// A migration of the application, or its function `start`, failed.
    #[error("{0}")]
    Startup(String),
}

impl Server {
    /// Opens the database and prepares to serve `methods`.
    ///
    /// # Errors
    /// Returns an error if the database cannot be opened, was created by a newer version or is not part of this build, or if the
    /// application was built for development mode.
    pub async fn new(methods: impl Into<Methods>, config: Config) -> Result<Self, StartError> {
        let methods = methods.into();
        let startup = Startup::new(&methods);
        Self::with_methods(static_table(methods)?, startup, config, Passwords::params(), Arc::new(EventAccessLog)).await
    }

    pub(crate) async fn with_methods(
        methods: MethodTable,
        startup: Startup,
        config: Config,
        password_params: argon2::Params,
        access_log: Arc<dyn AccessLog>,
    ) -> Result<Self, StartError> {
        let passwords = Passwords::new(password_params).map_err(|error| StartError::Password(error.to_string()))?;
        let request_ids = RequestIds::new()?;
        let (store, is_reachable) = store::open(&config).await?;
        if is_reachable {
            match startup.run(store.connection()).await {
                // It may be unreachable since.
                Err(error) if error.is_transient() && config.database != Database::Sqlite => {
                    tracing::warn!("not ready: {error}");
                }
                result => result.map_err(|error| StartError::Startup(error.to_string()))?,
            }
        }
        let accounts = Arc::new(AccountService::new(store, passwords, &config));
        let dispatcher = Arc::new(Dispatcher::new(
            methods,
            startup,
            accounts,
            config.request_timeout,
            config.request_rate,
            access_log,
        ));
        let detached_calls = Arc::new(DetachedCalls::new(config.request_timeout));
        let memory = MemoryBudget::new(config.max_memory_in_flight, config.max_body);
        let unreadable_requests = Repeated::new(|requests, first_peer: IpAddr| {
            tracing::warn!(requests, %first_peer, "refused requests that are not HTTP, or whose heads are too large");
        });
        let document = DocumentCache::default();
        let state = AppState { config, dispatcher, detached_calls, memory, request_ids, document, unreadable_requests };
        Ok(Server { state: Arc::new(state), has_inherited_listener: false })
    }

    /// Returns the server for a listener that stays open in another process, such as a service manager's. When this server stops, no
    /// connection is refused: new ones wait for the next server.
    #[must_use]
    pub fn with_inherited_listener(self) -> Self {
        Server { has_inherited_listener: true, ..self }
    }

    /// Serves the connections of `listener` until `shutdown` resolves, and then the requests in flight for up to `drain_timeout`.
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
        let accounts = self.accounts().clone();
        tokio::select! {
            () = transport::run(listener, self.has_inherited_listener, self.state.clone(), shutdown) => {}
            () = delete_expired_sessions(&accounts) => {}
            () = heap::trim_periodically() => {}
            () = start_up(&self.state) => {}
        }
        // A method that was aborted may still hold a database connection, so the wait is bounded.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, accounts.store().close()).await;
    }

    pub(crate) fn accounts(&self) -> &Arc<AccountService> {
        &self.state.dispatcher.accounts
    }

    #[cfg(feature = "fuzzing")]
    pub(crate) fn state(&self) -> &Arc<AppState> {
        &self.state
    }

    #[cfg(feature = "testing")]
    pub(crate) fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.state.dispatcher
    }
}

/// Takes the steps of the application that its start could not take, and waits forever.
async fn start_up(state: &AppState) {
    let Dispatcher { startup, accounts, .. } = &*state.dispatcher;
    startup.run_until_done(accounts.store().connection()).await;
    std::future::pending().await
}

/// Deletes expired sessions periodically, forever.
async fn delete_expired_sessions(accounts: &AccountService) {
    loop {
        match accounts.delete_expired().await {
            Ok(0) => {}
            Ok(sessions) => tracing::debug!(sessions, "deleted expired sessions"),
            Err(error) => tracing::warn!("cannot delete expired sessions, will retry: {error}"),
        }
        tokio::time::sleep(EXPIRY_INTERVAL).await;
    }
}

/// Returns the table of the methods that are part of the application.
///
/// # Errors
/// Returns an error if the application was built for development mode and contains no methods.
pub(crate) fn static_table(methods: Methods) -> Result<MethodTable, StartError> {
    match methods.development {
        Some(development) if development.reloads => Err(StartError::Development),
        _ => Ok(MethodTable::Static(StaticMethods::new(&methods))),
    }
}
