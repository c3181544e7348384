//! Code that both test binaries share: servers as processes, a client that signs, and ways to wait.

pub(crate) mod client;
pub(crate) mod process;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) use client::{Api, sign};
pub(crate) use process::Process;

/// The time after which a test gives up waiting.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Returns the size of a test: `long` under `tests/run hardening`, and `short` otherwise.
pub(crate) fn short_or_long<T>(short: T, long: T) -> T {
    if std::env::var_os("SIMPLEAPI_TEST_LONG").is_some() { long } else { short }
}

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program of this application.
pub(crate) fn server_binary() -> PathBuf {
    env!("CARGO_BIN_EXE_server").into()
}

/// A temporary folder for one server, or for several on one database.
pub(crate) fn directory() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

/// A server that listens, in this process or in one of its own.
pub(crate) trait Listening {
    fn address(&self) -> SocketAddr;

    fn api(&self) -> Api {
        Api { http: reqwest::Client::new(), base: self.url("") }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Opens a connection.
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream
    }

    /// Sends these bytes on a connection of their own and reads to its end.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        read_all(&mut stream)
    }
}

/// Reads to the end of a connection, whether it is closed or reset.
pub(crate) fn read_all(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(length) = stream.read(&mut piece) {
        if length == 0 {
            break;
        }
        all.extend_from_slice(&piece[..length]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// Polls until `probe` returns a value; panics with `message` after [`TIMEOUT`].
pub(crate) fn wait_for<T>(mut probe: impl FnMut() -> Option<T>, message: impl Fn() -> String) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(started.elapsed() < TIMEOUT, "timed out: {}", message());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Polls until `probe` returns `true`; panics after [`TIMEOUT`].
pub(crate) async fn wait_for_async(mut probe: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !probe().await {
        assert!(started.elapsed() < TIMEOUT, "timed out");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
