//! From a listener to connections, and an end that loses nothing.

pub(crate) mod connection;
pub(crate) mod guard;
pub(crate) mod http;
pub(crate) mod limits;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::transport::connection::serve_connection;
use crate::transport::guard::Shutdown;
use crate::transport::http::AppState;
use crate::transport::limits::ConnectionLimiter;

/// Once the listener takes no new connections, those that are being opened get this long to be whole: one round trip and a bit.
const HANDSHAKES: Duration = Duration::from_millis(200);

/// Serves until `shutdown` resolves and what is in flight then has ended, or `drain_timeout` has passed. A listener that is `shared`
/// stays open in another process, and what comes to it from then on waits for whoever accepts next.
pub(crate) async fn run(
    listener: TcpListener,
    is_inherited: bool,
    state: Arc<AppState>,
    shutdown: impl Future<Output = ()>,
) {
    let phases = Shutdown::default();
    let connections = Acceptor {
        limiter: ConnectionLimiter::new(&state.config),
        tasks: TaskTracker::new(),
        shutdown: phases.clone(),
        state: state.clone(),
    };
    let delay = state.config.shutdown_delay;
    let drain_delay = async {
        shutdown.await;
        tracing::info!("stopping: accepting for {delay:?} more, so that load balancers notice");
        phases.draining.cancel();
        sleep(delay).await;
    };
    tokio::select! {
        () = connections.accept(&listener) => {}
        () = drain_delay => {}
    }

    if !is_inherited {
        drop_new_syns(&listener);
        let _ = timeout(HANDSHAKES, connections.accept(&listener)).await;
    }
    drop(listener);
    phases.closing.cancel();
    state.detached.close();
    connections.tasks.close();

    let drained = async {
        connections.tasks.wait().await;
        state.detached.ended().await;
    };
    match timeout(state.config.drain_timeout, drained).await {
        Ok(()) => tracing::info!("stopped: everything in flight has ended"),
        Err(_) => tracing::warn!(connections = connections.tasks.len(), "stopped: what was still in flight is cut off"),
    }
}

/// Lets no new connection begin, while those that have begun get through: a handshake that the client holds for done must not
/// end in a reset. Where this cannot be done, only that is lost.
#[cfg(target_os = "linux")]
fn drop_new_syns(listener: &TcpListener) {
    use socket2::SockFilter;
    // Classic BPF over the TCP header: drop a packet whose flags (byte 13) have SYN (2), take any other.
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    let filter = [
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(JUMP_IF_SET, 0, 1, 2),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    if let Err(error) = socket2::SockRef::from(listener).attach_filter(&filter) {
        tracing::debug!("connections that are being opened at this moment may be reset: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn drop_new_syns(_: &TcpListener) {}

/// The connections of a listener.
struct Acceptor {
    limiter: ConnectionLimiter,
    tasks: TaskTracker,
    shutdown: Shutdown,
    state: Arc<AppState>,
}

impl Acceptor {
    /// Accepts without end. With no place free the next connection waits in the kernel's queue.
    async fn accept(&self, listener: &TcpListener) {
        loop {
            let permit = self.limiter.acquire().await;
            match listener.accept().await {
                Ok((stream, address)) => {
                    let peer = address.ip();
                    let Some(connection_permit) = self.limiter.admit(peer, permit, &self.state.config) else {
                        tracing::warn!(%peer, "too many connections from one address: refused");
                        continue;
                    };
                    let _ = stream.set_nodelay(true);
                    self.tasks.spawn(serve_connection(
                        stream,
                        peer,
                        connection_permit,
                        self.state.clone(),
                        self.shutdown.clone(),
                    ));
                }
                // Out of descriptors, most likely: those that are open go on, and one that ends makes room.
                Err(error) => {
                    tracing::error!("cannot accept a connection: {error}");
                    sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
}
