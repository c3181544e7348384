//! The process around a server: its threads, its socket, its signals, its limits, and what it says before there is a log.

use std::future::Future;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use listenfd::ListenFd;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;

/// The status of a process that was asked for something it cannot do.
const REFUSED: u8 = 2;

/// Runs `work` on a runtime of its own, and does not wait for what it has left behind.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start threads: {error}"))?;
    let done = runtime.block_on(work);
    // A blocking method that does not end would keep the process for ever.
    runtime.shutdown_background();
    done
}

/// Where a server listens.
pub(crate) struct BoundListener {
    pub(crate) listener: TcpListener,
    /// Another process holds it too, and goes on listening when this one ends.
    pub(crate) is_inherited: bool,
}

/// The socket that a service manager has opened for this process (`LISTEN_FDS`; see sd_listen_fds(3)), or else a new one at the
/// configured address.
pub(crate) async fn listen(config: &Config) -> Result<BoundListener, String> {
    if let Some(listener) = given_listener()? {
        return Ok(BoundListener { listener, is_inherited: true });
    }
    let address = SocketAddr::new(config.address, config.port);
    let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!("cannot listen on {address}: it is in use; name another with --port"),
        _ => format!("cannot listen on {address}: {error}"),
    })?;
    Ok(BoundListener { listener, is_inherited: false })
}

fn given_listener() -> Result<Option<TcpListener>, String> {
    let mut given = ListenFd::from_env();
    if given.len() > 1 {
        return Err(format!("LISTEN_FDS gives {} sockets; a server takes one", given.len()));
    }
    let listener = given.take_tcp_listener(0).and_then(|listener| {
        let Some(listener) = listener else { return Ok(None) };
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Some)
    });
    listener.map_err(|error| format!("the socket that LISTEN_FDS gives cannot be used: {error}"))
}

/// Resolves at the first SIGTERM or SIGINT; the second ends the process at once.
pub(crate) fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (told, stop) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        let _ = told.send(());
        next().await;
        warn("told twice to stop: stopping now");
        std::process::exit(1);
    });
    Ok(async move {
        let _ = stop.await;
    })
}

/// Each connection is a descriptor, and the usual soft limit of 1,024 is less than `max_connections`.
pub(crate) fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::debug!("the limit of open files stays as it is: {error}");
    }
}

/// To standard output; a reader that has gone, such as `head`, is no failure.
pub(crate) fn print(text: &str) -> ExitCode {
    let _ = writeln!(io::stdout(), "{text}");
    ExitCode::SUCCESS
}

pub(crate) fn finish(done: Result<String, String>) -> ExitCode {
    done.map_or_else(|problem| exit_failure(&problem), |text| print(&text))
}

pub(crate) fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "server: {text}");
}

pub(crate) fn exit_failure(problem: &str) -> ExitCode {
    warn(problem);
    ExitCode::FAILURE
}

pub(crate) fn exit_usage(problem: &str) -> ExitCode {
    for line in problem.lines() {
        warn(line);
    }
    ExitCode::from(REFUSED)
}
