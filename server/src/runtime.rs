//! The process around a server: its threads, its listener, its signals and its limits.

use std::env;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use listenfd::ListenFd;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::config::{Config, Database};
use crate::transport;

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
    #[error(
        "the socket that `LISTEN_FDS` passes does not listen; pass one that does, as systemd does with `ListenStream=` and without `Accept=yes`"
    )]
    NotListening,
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
        if !transport::is_listening(&listener).map_err(RuntimeError::InheritedSocket)? {
            return Err(RuntimeError::NotListening);
        }
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
    // Without the id of a process, the variables may be meant for one that has started this process.
    if env::var_os("LISTEN_FDS").is_some() && env::var_os("LISTEN_PID").is_none_or(|pid| pid.is_empty()) {
        tracing::warn!(
            "ignoring `LISTEN_FDS`: `LISTEN_PID` has to be the id of this process, as service managers set it"
        );
        return Ok(None);
    }
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

/// Raises the limit of open files to its maximum, which the usual soft limit of 1,024 is far below, and reduces `max_connections` to the
/// connections that leave enough descriptors for the database and for files.
pub(crate) fn fit_into_descriptor_limit(config: Config) -> Config {
    let Some(limit) = raise_descriptor_limit() else { return config };
    let fitting = fitting_connections(&config, limit);
    if config.max_connections <= fitting {
        return config;
    }
    tracing::warn!(
        "`max_connections` is {fitting} instead of {}: the process may open {limit} files, and the database needs some of them; \
        raise the limit (`LimitNOFILE=` in systemd, `ulimit -Hn` in a shell)",
        config.max_connections
    );
    Config { max_connections: fitting, ..config }
}

/// Returns the limit, or `None` if there is none.
fn raise_descriptor_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::debug!("cannot raise the limit of open files: {error}");
            current
        }
    }
}

/// Returns the number of connections for which `limit` descriptors are enough, beside those of the process and its database.
fn fitting_connections(config: &Config, limit: u64) -> u32 {
    /// The standard streams, the listener, the event queues of the runtime, and some files of methods.
    const PROCESS: u64 = 24;
    let database = u64::from(config.database_connections);
    let database = match config.database {
        // Each connection has the file and its log. Reads have one connection for each core, and writes one.
        Database::Sqlite => {
            2 * (database + 1 + std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64))
        }
        Database::Mongodb | Database::Mysql | Database::Postgres => database,
    };
    // The database rarely needs all of its connections at the same time.
    let fitting = limit.saturating_sub(PROCESS + database).max(limit / 4).max(1);
    u32::try_from(fitting).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_database() {
        let mut config = Config::default();
        (config.database, config.database_connections) = (Database::Postgres, 10);
        for (limit, fitting) in [(u64::MAX, u32::MAX), (65_536, 65_502), (1024, 990), (64, 30), (40, 10), (0, 1)] {
            assert_eq!(fitting_connections(&config, limit), fitting, "{limit}");
        }
        config.database = Database::Sqlite;
        assert!((512..990).contains(&fitting_connections(&config, 1024)));
        config.database_connections = u32::MAX;
        assert_eq!(fitting_connections(&config, 1024), 256);
    }
}
