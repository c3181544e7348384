//! From a listener to connections, and a shutdown that loses no request.

pub(crate) mod connection;
pub(crate) mod guard;
pub(crate) mod http;
mod http2_streams;
pub(crate) mod limits;
pub(crate) mod memory;
pub(crate) mod shutdown;
mod slow_reader;
mod socket;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use self::connection::serve_connection;
use self::limits::ConnectionLimiter;
use self::shutdown::Shutdown;
pub(crate) use self::socket::is_listening;
use self::socket::{drop_new_syns, probe_silent_clients};
use crate::log::Repeated;
use crate::state::AppState;

/// The time for handshakes in progress to complete after the listener has stopped accepting new ones: a little over one round trip.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_millis(200);

/// The pause after a failed `accept`, so that a process without free descriptors does not spin.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(20);

/// Serves until `shutdown` resolves, and then until the requests in flight are complete or `drain_timeout` has expired.
///
/// An inherited listener stays open in another process: connections that arrive after this server stops wait there for the next one.
pub(crate) async fn run(
    listener: TcpListener,
    is_inherited: bool,
    state: Arc<AppState>,
    shutdown: impl Future<Output = ()>,
) {
    probe_silent_clients(&listener, state.config.idle_timeout);
    let phases = Shutdown::default();
    let acceptor = Acceptor {
        limiter: ConnectionLimiter::new(&state.config),
        refused: Repeated::new(|connections, first_peer: IpAddr| {
            tracing::warn!(connections, %first_peer, "refused connections: too many connections from their addresses");
        }),
        failed: Repeated::new(|attempts, ()| {
            tracing::error!(
                attempts,
                "cannot accept connections; the process has probably reached its limit of open files"
            );
        }),
        connections: TaskTracker::new(),
        shutdown: phases.clone(),
        state: state.clone(),
    };

    // Phase 1: drain. Everything is still accepted and answered.
    let delay = state.config.shutdown_delay;
    let drain = async {
        shutdown.await;
        tracing::info!("shutting down: accepting connections for another {delay:?}, so that load balancers notice");
        phases.draining.cancel();
        sleep(delay).await;
    };
    tokio::select! {
        () = acceptor.accept(&listener) => {}
        () = drain => {}
    }

    // Phase 2: accept no new connection.
    if !is_inherited {
        drop_new_syns(&listener);
        let _ = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(&listener)).await;
    }
    drop(listener);

    // Phase 3: close. Requests in flight are completed.
    phases.closing.cancel();
    state.detached_calls.close();
    acceptor.connections.close();
    let drained = async {
        acceptor.connections.wait().await;
        state.detached_calls.wait().await;
    };
    match timeout(state.config.drain_timeout, drained).await {
        Ok(()) => tracing::info!("shut down: all requests in flight are complete"),
        Err(_) => {
            let connections = acceptor.connections.len();
            tracing::warn!(connections, "shut down: `drain_timeout` has expired, aborting the requests in flight");
        }
    }
}

/// Accepts the connections of a listener, within the limits.
struct Acceptor {
    limiter: ConnectionLimiter,
    /// The connections that were refused because of their address.
    refused: Repeated<IpAddr>,
    /// The attempts to accept a connection that failed.
    failed: Repeated<()>,
    connections: TaskTracker,
    shutdown: Shutdown,
    state: Arc<AppState>,
}

impl Acceptor {
    /// Accepts connections forever. While all connection slots are taken, the next connection waits in the kernel's queue.
    async fn accept(&self, listener: &TcpListener) {
        loop {
            let slot = self.limiter.acquire().await;
            match listener.accept().await {
                Ok((stream, address)) => {
                    let peer = address.ip();
                    let Ok(permit) = self.limiter.admit(peer, slot) else {
                        tracing::debug!(%peer, "refused a connection: too many connections from this address");
                        self.refused.count(peer);
                        continue;
                    };
                    let _ = stream.set_nodelay(true);
                    let (state, shutdown) = (self.state.clone(), self.shutdown.clone());
                    self.connections.spawn(serve_connection(stream, peer, permit, state, shutdown));
                }
                // Most likely out of descriptors: a connection that closes frees one.
                Err(error) => {
                    tracing::debug!("cannot accept a connection: {error}");
                    self.failed.count(());
                    sleep(ACCEPT_RETRY_DELAY).await;
                }
            }
        }
    }
}
