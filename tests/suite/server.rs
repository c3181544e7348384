//! A server in this process, which most tests call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use method_sdk::Methods;
use simpleapi_server::Config;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::databases::{Database, Kind};
use crate::support::{Listening, TIMEOUT, directory};

/// A server on threads of its own; ended without a drain when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    _directory: Arc<TempDir>,
    thread: Option<JoinHandle<()>>,
    shutdown: Option<oneshot::Sender<()>>,
    /// Dropped to end the server without a drain.
    abort: Option<oneshot::Sender<()>>,
    /// The database the server runs on, which must outlive it.
    pub(crate) database: Option<Arc<Database>>,
}

impl Server {
    /// This application with the default configuration.
    pub(crate) fn start() -> Self {
        Server::start_with(|_| {})
    }

    pub(crate) fn start_with(configure: impl FnOnce(&mut Config)) -> Self {
        Database::new(Kind::ANY).server_with(configure)
    }

    /// The application in `tests/fixtures/app`, whose methods report to a [`fixture::_probe::Probe`].
    pub(crate) fn fixture() -> Self {
        Server::fixture_with(|_| {})
    }

    pub(crate) fn fixture_with(configure: impl FnOnce(&mut Config)) -> Self {
        let directory = directory();
        let mut config = Config::default();
        config.sqlite_path = directory.path().join("simpleapi.db");
        config.shutdown_delay = Duration::ZERO;
        configure(&mut config);
        Server::run(fixture::methods(), config, directory)
    }

    /// Runs these methods on a free port.
    pub(crate) fn run(methods: Methods, config: Config, directory: Arc<TempDir>) -> Self {
        let (started, address) = std::sync::mpsc::channel();
        let (shutdown, on_shutdown) = oneshot::channel::<()>();
        let (abort, on_abort) = oneshot::channel::<()>();
        let serve = async move {
            let server = simpleapi_server::Server::new(methods, config).await.unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            started.send(listener.local_addr().unwrap()).unwrap();
            tokio::select! {
                _ = on_abort => {}
                () = server.run(listener, async { on_shutdown.await.unwrap_or_default() }) => {}
            }
        };
        let thread = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(serve);
            runtime.shutdown_background();
        });
        let address = address.recv_timeout(TIMEOUT).expect("the server starts");
        let (shutdown, abort) = (Some(shutdown), Some(abort));
        Server { address, _directory: directory, thread: Some(thread), shutdown, abort, database: None }
    }

    /// Asks the server to shut down.
    pub(crate) fn shut_down(&mut self) {
        self.shutdown.take().unwrap().send(()).unwrap();
    }

    /// Shuts the server down and waits until it has drained: no method and no hook runs any more.
    pub(crate) fn stop(mut self) {
        self.shut_down();
        self.wait();
    }

    /// Waits for the end of a shutdown.
    pub(crate) fn wait(mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Waits until the probe of this name has recorded `event` so many times.
pub(crate) async fn wait_for_event(name: &str, event: &str, times: usize) {
    let recorded = tokio::time::timeout(TIMEOUT, fixture::_probe::probe(name).recorded(event, times)).await;
    recorded.unwrap_or_else(|_| panic!("{name:?} has not recorded {event:?} {times} times"));
}

impl Listening for Server {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.abort.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
