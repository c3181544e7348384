//! Servers as processes, a client that signs, and the second application, built once.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::HeaderMap;
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::databases::{Database, Kind};

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// This application's server.
pub(crate) fn server_binary() -> PathBuf {
    env!("CARGO_BIN_EXE_server").into()
}

/// The server of `tests/fixtures/app`, built on first use.
pub(crate) fn fixture_binary() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let app = root().join("tests/fixtures/app");
        let output = cargo(&app, "build").arg("--locked").output().unwrap();
        assert!(output.status.success(), "the fixture builds: {}", String::from_utf8_lossy(&output.stderr));
        fixtures_target().join("debug/fixture")
    };
    BUILT.get_or_init(build).clone()
}

/// One target folder for everything that tests build, so that the dependencies are built once.
pub(crate) fn fixtures_target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixtures")
}

/// A cargo command on another application.
pub(crate) fn cargo(directory: &Path, command: &str) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.arg(command).current_dir(directory).env("CARGO_TARGET_DIR", fixtures_target());
    cargo.env_remove("RUSTFLAGS").env("CARGO_TERM_COLOR", "never");
    // What Cargo has told the tests of themselves: a build script that looks at it would run again each time.
    cargo.env_remove("OUT_DIR");
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
    {
        cargo.env_remove(name);
    }
    cargo
}

/// A folder with a database in it, for one server or several.
pub(crate) fn directory() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) log: Arc<Mutex<String>>,
    pub(crate) directory: Arc<TempDir>,
    /// What it runs on, which must not go before it.
    pub(crate) database: Option<Arc<Database>>,
}

impl Server {
    /// This application's server, with these options.
    pub(crate) fn start(options: &[&str]) -> Self {
        Database::new(Kind::ANY).server(options)
    }

    /// The fixture's server, with these options.
    pub(crate) fn fixture(options: &[&str]) -> Self {
        Server::start_in(&directory(), &fixture_binary(), options)
    }

    pub(crate) fn start_in(directory: &Arc<TempDir>, binary: &Path, options: &[&str]) -> Self {
        let mut command = Command::new(binary);
        command.stdin(Stdio::null());
        Server::start_command(directory, command, options)
    }

    pub(crate) fn start_command(directory: &Arc<TempDir>, mut command: Command, options: &[&str]) -> Self {
        let mut child = command
            .current_dir(directory.path())
            .args(["--port=0", "--log-format=json"])
            .args(options)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (found, address) = mpsc::channel();
        let (stderr, kept) = (child.stderr.take().unwrap(), log.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("listening on http://") {
                    let _ = found.send(rest.split(['"', ' ']).next().unwrap().parse().unwrap());
                }
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let address = address.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no server: {}", log.lock().unwrap()));
        Server { child, address, log, directory: directory.clone(), database: None }
    }

    pub(crate) fn api(&self) -> Api {
        Api { http: reqwest::Client::new(), base: format!("http://{}", self.address) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The lines that the log has of calls, as JSON; waits until there are this many.
    pub(crate) fn calls(&self, expected: usize) -> Vec<Value> {
        wait_for(|| {
            let lines = self.log();
            let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let calls: Vec<Value> = lines.filter(|line| line["message"] == "call").collect();
            (calls.len() >= expected).then_some(calls)
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn stop(mut self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        let status = self.child.wait().unwrap();
        (status, self.log())
    }

    /// Sends these bytes on a connection of their own and reads until its end.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        read_all(&mut stream)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What comes until the end of the connection, whichever way it ends.
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

/// Looks until there is something, or patience ends.
pub(crate) fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let started = std::time::Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The signature of version 1.
pub(crate) fn sign(user_id: &str, body: &[u8]) -> String {
    let mac = Hmac::<sha1::Sha1>::new_from_slice(user_id.as_bytes()).unwrap().chain_update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
}

/// A session, as a client keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) user: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        json.disable_recursion_limit();
        serde::Deserialize::deserialize(&mut json).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn result(&self) -> Value {
        let mut json = self.json();
        assert!(json.get("result").is_some(), "not a result: {json}");
        json["result"].take()
    }

    /// The error's code, or 0.
    pub(crate) fn code(&self) -> i64 {
        self.json()["error"]["code"].as_i64().unwrap_or(0)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn session(&self) -> Session {
        let result = self.result();
        let text = |name: &str| result[name].as_str().unwrap().to_owned();
        Session { id: text("session_id"), user: text("user_id") }
    }

    pub(crate) fn is_signed_by(&self, user_id: &str) -> bool {
        self.header("x-hmac") == Some(&sign(user_id, &self.body))
    }
}

impl Api {
    /// Sends a body as it is.
    pub(crate) async fn send(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Reply {
        self.try_send(path, body, headers).await.unwrap()
    }

    pub(crate) async fn try_send(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> reqwest::Result<Reply> {
        let mut request = self.http.post(format!("{}{path}", self.base)).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.reply(request).await
    }

    pub(crate) async fn reply(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Reply> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Reply { status, headers, body: response.bytes().await?.to_vec() })
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.reply(self.http.get(format!("{}{path}", self.base))).await.unwrap()
    }

    /// Calls through the envelope.
    pub(crate) async fn call(&self, method: &str, parameters: Value) -> Reply {
        self.send("/", &json!({ "method": method, "parameters": parameters }).to_string(), &[]).await
    }

    /// Calls through the envelope, signed.
    pub(crate) async fn call_as(&self, session: &Session, method: &str, parameters: Value) -> Reply {
        self.send_as(session, "/", &json!({ "method": method, "parameters": parameters }).to_string()).await
    }

    pub(crate) async fn send_as(&self, session: &Session, path: &str, body: &str) -> Reply {
        let signature = sign(&session.user, body.as_bytes());
        self.send(path, body, &[("x-session-id", &session.id), ("x-hmac", &signature)]).await
    }

    pub(crate) async fn create(&self, user_id: &str) -> Session {
        let reply = self.call("account.create", json!({ "user_id": user_id, "password": "secret" })).await;
        assert!(reply.is_signed_by(user_id));
        reply.session()
    }

    pub(crate) async fn login(&self, user_id: &str) -> Reply {
        self.call("account.login", json!({ "user_id": user_id, "password": "secret" })).await
    }

    /// Waits until the fixture's server has counted this event, and gives how often.
    pub(crate) async fn event(&self, name: &str) -> i64 {
        let started = std::time::Instant::now();
        loop {
            if let Some(times) = self.call("probe.events", json!({})).await.result()[name].as_i64() {
                return times;
            }
            assert!(started.elapsed() < PATIENCE, "no event {name}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Asks until the answer is yes, or patience ends.
pub(crate) async fn wait_for_async(mut ask: impl AsyncFnMut() -> bool) {
    let started = std::time::Instant::now();
    while !ask().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A write lock on a server's SQLite file, held by somebody else until it is dropped.
#[cfg(feature = "sqlite")]
pub(crate) async fn lock(directory: &TempDir) -> method_sdk::sqlx::Transaction<'static, method_sdk::sqlx::Sqlite> {
    let path = directory.path().join("simpleapi.db");
    let options = method_sdk::sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let pool = method_sdk::sqlx::SqlitePool::connect_with(options).await.unwrap();
    pool.begin_with("BEGIN IMMEDIATE").await.unwrap()
}
