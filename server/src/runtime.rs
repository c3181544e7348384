//! The process around a server: its threads, its listener, its signals and its limits.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use listenfd::ListenFd;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::config::Config;

/// The reason why the operating system does not provide what a server needs.
#[derive(Debug, Error)]
pub(crate) enum RuntimeError {
    #[error("cannot start threads: {0}")]
    Threads(#[source] io::Error),
    #[error("cannot listen on {0}: the address is in use; choose another port with `--port`")]
    AddressInUse(SocketAddr),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("`LISTEN_FDS` passes {0} sockets; pass exactly one")]
    TooManySockets(usize),
    #[error("cannot use the socket that `LISTEN_FDS` passes: {0}")]
    InheritedSocket(#[source] io::Error),
    #[error("cannot handle signals: {0}")]
    Signals(#[source] io::Error),
}

/// Runs `work` on a new multi-threaded runtime and returns its output.
///
/// Returns without waiting for the tasks that `work` has left behind: a blocking method that never ends would keep the process alive.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, RuntimeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(RuntimeError::Threads)?;
    let output = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(output)
}

/// The socket on which a server accepts connections.
pub(crate) struct BoundListener {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
    /// Another process holds the socket too, and keeps it open when this process ends.
    pub(crate) is_inherited: bool,
}

/// Returns the socket that a service manager passes to this process (`LISTEN_FDS`; see sd_listen_fds(3)), or else a new one on the
/// configured address.
pub(crate) async fn listen(config: &Config) -> Result<BoundListener, RuntimeError> {
    if let Some(listener) = inherited_listener()? {
        let address = listener.local_addr().map_err(RuntimeError::InheritedSocket)?;
        return Ok(BoundListener { listener, address, is_inherited: true });
    }
    let address = SocketAddr::new(config.address, config.port);
    let listen_error = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => RuntimeError::AddressInUse(address),
        _ => RuntimeError::Listen { address, source },
    };
    let listener = TcpListener::bind(address).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    Ok(BoundListener { listener, address, is_inherited: false })
}

fn inherited_listener() -> Result<Option<TcpListener>, RuntimeError> {
    let mut sockets = ListenFd::from_env();
    if sockets.len() > 1 {
        return Err(RuntimeError::TooManySockets(sockets.len()));
    }
    let listener = sockets.take_tcp_listener(0).and_then(|listener| {
        let Some(listener) = listener else { return Ok(None) };
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Some)
    });
    listener.map_err(RuntimeError::InheritedSocket)
}

/// The signals that end a server: those of service managers, of terminals, and of terminals that close.
const SHUTDOWN_SIGNALS: [SignalKind; 4] =
    [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::hangup()];

/// The signals that would end the process by default, although other programs send them to have a log reopened or statistics written.
const IGNORED_SIGNALS: [SignalKind; 2] = [SignalKind::user_defined1(), SignalKind::user_defined2()];

/// Returns a future that resolves at the first SIGTERM, SIGINT, SIGQUIT or SIGHUP. The second calls `on_second`. From now on SIGUSR1 and
/// SIGUSR2 have no effect.
pub(crate) fn shutdown_signal(
    on_second: impl FnOnce() + Send + 'static,
) -> Result<impl Future<Output = ()>, RuntimeError> {
    for kind in IGNORED_SIGNALS {
        // The handler stays installed when the stream of signals is dropped.
        drop(signal(kind).map_err(RuntimeError::Signals)?);
    }
    let signals = SHUTDOWN_SIGNALS.into_iter().map(signal).collect::<Result<Vec<_>, _>>();
    let mut signals = signals.map_err(RuntimeError::Signals)?;
    let (sender, first) = oneshot::channel();
    tokio::spawn(async move {
        poll_fn(|context| poll_any(&mut signals, context)).await;
        let _ = sender.send(());
        poll_fn(|context| poll_any(&mut signals, context)).await;
        on_second();
    });
    Ok(async move {
        let _ = first.await;
    })
}

fn poll_any(signals: &mut [Signal], context: &mut Context<'_>) -> Poll<()> {
    if signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready()) { Poll::Ready(()) } else { Poll::Pending }
}

/// Raises the limit of open files to its maximum. Each connection is a file descriptor, and the usual soft limit of 1,024 is less than
/// the default of `max_connections`.
pub(crate) fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::debug!("cannot raise the limit of open files: {error}");
    }
}
