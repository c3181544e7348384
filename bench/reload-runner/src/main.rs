//! Measures the time from a saved file to its first new response, in development mode and with a build of the same tree and a restart.
//!
//! It creates applications of 3, 50 and 500 methods in a directory and measures each in one run, on this machine alone.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The port of the servers.
const PORT: u16 = 8895;

/// The time limit of every wait.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The time between a response and the next save: a developer looks at a result before the next edit.
const PAUSE: Duration = Duration::from_secs(1);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [repository, folder, runs, reloads, databases] = &arguments[..] else {
        panic!("usage: reload-runner REPOSITORY FOLDER RUNS RELOADS DATABASES");
    };
    let (repository, folder) = (Path::new(repository), Path::new(folder));
    let (runs, reloads): (usize, usize) = (runs.parse().expect("a number"), reloads.parse().expect("a number"));
    println!("milliseconds from a saved file to its first new response: median (minimum-maximum) of {runs}");
    for methods in [3, 50, 500] {
        let app = App::new(repository, folder, databases, methods);
        app.measure(runs);
    }
    if reloads > 0 {
        App::new(repository, folder, databases, 3).measure_memory(reloads);
    }
}

struct App {
    folder: PathBuf,
    target: PathBuf,
    methods: usize,
}

impl App {
    /// Creates an application of `methods` methods. `databases` are the features of the server's databases, separated by commas.
    fn new(repository: &Path, folder: &Path, databases: &str, methods: usize) -> Self {
        let target = folder.join("target");
        let folder = folder.join(format!("app{methods}"));
        let _ = fs::remove_dir_all(&folder);
        let app = App { folder, target, methods };
        let repository = repository.display();
        let databases: Vec<&str> = databases.split(',').collect();
        app.write(
            "Cargo.toml",
            &format!(
                "[package]\nname = \"app{methods}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n[features]\ndev = [\"simpleapi-server/dev\"]\n[dependencies]\nmethod-sdk = {{ path = \"{repository}/method-sdk\", default-features = false }}\nsimpleapi-server = {{ path = \"{repository}/server\", default-features = false, features = {databases:?} }}\nserde = {{ version = \"1.0\", features = [\"derive\"] }}\n[build-dependencies]\nmethod-build = {{ path = \"{repository}/method-sdk/build\" }}\n[profile.dev.package.argon2]\nopt-level = 3\n[profile.dev.package.blake2]\nopt-level = 3\n"
            ),
        );
        fs::copy(format!("{repository}/Cargo.lock"), app.folder.join("Cargo.lock")).expect("the lock file is copied");
        app.write("build.rs", "fn main() { method_build::generate(); }\n");
        app.write("src/lib.rs", "include!(concat!(env!(\"OUT_DIR\"), \"/methods.rs\"));\n");
        app.write(
            "src/main.rs",
            &format!("fn main() -> std::process::ExitCode {{ simpleapi_server::main(app{methods}::methods()) }}\n"),
        );
        app.write("methods/query.rs", &query(0));
        for number in 1..methods {
            app.write(&format!("methods/group{}/m{number}.rs", number % 10), &json(0));
        }
        app
    }

    fn measure(&self, runs: usize) {
        println!("\n{} methods", self.methods);
        self.cargo(&["--features", "dev"]);
        let _ = fs::remove_dir_all(self.target.join("debug/simpleapi-dev"));
        let (dev, took) = self.start(&["dev"]);
        row("start, nothing compiled yet", &[took]);
        row("  until all are compiled", &[dev.until_ready()]);
        drop(dev);
        let restart = |_| {
            let (dev, took) = self.start(&["dev"]);
            (took, dev.until_ready())
        };
        let (took, ready): (Vec<_>, Vec<_>) = (0..runs).map(restart).unzip();
        row("start, with cached libraries", &took);
        row("  until all are loaded", &ready);

        let (dev, _) = self.start(&["dev"]);
        dev.until_ready();
        let changed = "methods/group1/m1.rs";
        row("a JSON-only method", &self.edits(runs, changed, "/group1/m1", json));
        row("a method with an sqlx query", &self.edits(runs, "methods/query.rs", "/query", query));
        let (mut new, mut deleted) = (Vec::new(), Vec::new());
        for run in 0..runs {
            std::thread::sleep(PAUSE);
            let file = format!("methods/new{run}.rs");
            self.write(&file, &json(run));
            new.push(until(&format!("/new{run}"), &format!("\"version\":{run}")));
            fs::remove_file(self.folder.join(file)).expect("it was written");
            deleted.push(until(&format!("/new{run}"), "1001"));
        }
        row("a new file", &new);
        row("a deleted file", &deleted);
        drop(dev);

        self.cargo(&[]);
        let mut server = None;
        let rebuilt: Vec<_> = (0..runs)
            .map(|run| {
                let version = 1000 + run;
                let started = Instant::now();
                self.write(changed, &json(version));
                self.cargo(&[]);
                drop(server.take());
                server = Some(self.start(&[]).0);
                until("/group1/m1", &format!("\"version\":{version}"));
                started.elapsed()
            })
            .collect();
        row("cargo build and a restart", &rebuilt);
    }

    fn edits(&self, runs: usize, file: &str, path: &str, text: fn(usize) -> String) -> Vec<Duration> {
        let edit = |version: usize| {
            std::thread::sleep(PAUSE);
            self.write(file, &text(version));
            until(path, &format!("\"version\":{version}"))
        };
        // The first compilation of a method has no incremental state to build on, so it has a row of its own.
        row(&format!("  the first time ({path})"), &[edit(1)]);
        (2..runs + 2).map(edit).collect()
    }

    fn measure_memory(&self, reloads: usize) {
        self.cargo(&["--features", "dev"]);
        let (dev, _) = self.start(&["dev"]);
        println!("\nmemory of a server of 3 methods");
        for reload in 0..=reloads {
            if reload > 0 {
                self.write("methods/group1/m1.rs", &json(reload));
                until("/group1/m1", &format!("\"version\":{reload}"));
            }
            if reload == 1 {
                std::thread::sleep(PAUSE);
            }
            if [0, 1, reloads / 10, reloads / 2, reloads].contains(&reload) {
                let status = fs::read_to_string(format!("/proc/{}/status", dev.process.id())).expect("it runs");
                let resident = status.lines().find(|line| line.starts_with("VmRSS")).expect("Linux says so");
                println!(
                    "after {reload:>5} reloads: {}",
                    resident.split_ascii_whitespace().nth(1).unwrap_or("?").to_owned() + " KiB resident"
                );
            }
        }
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        fs::create_dir_all(path.parent().expect("it is in a directory")).expect("the directory can be created");
        fs::write(path, text).expect("the file can be written");
    }

    fn cargo(&self, arguments: &[&str]) {
        let mut cargo = Command::new("cargo");
        cargo.arg("build").args(arguments).arg("--quiet").arg("--target-dir").arg(&self.target);
        let status = cargo.current_dir(&self.folder).status().expect("cargo runs");
        assert!(status.success(), "the application builds");
    }

    /// Starts a server and waits for the first response of a method. Returns the server and the time that took.
    fn start(&self, arguments: &[&str]) -> (Server, Duration) {
        let began = Instant::now();
        let path = self.folder.join("log");
        let log = fs::File::create(&path).expect("the log can be written");
        let process = Command::new(self.target.join(format!("debug/app{}", self.methods)))
            .args([&format!("--port={PORT}"), "--shutdown_delay=0"])
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the server starts");
        until("/query", "result");
        (Server { process, log: path, began }, began.elapsed())
    }
}

struct Server {
    process: Child,
    log: PathBuf,
    began: Instant,
}

impl Server {
    /// Waits until all methods are loaded. Returns the time since the start.
    fn until_ready(&self) -> Duration {
        while !fs::read_to_string(&self.log).is_ok_and(|log| log.contains("methods, ready in")) {
            assert!(self.began.elapsed() < TIMEOUT, "the server is not ready");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.began.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the source of a method whose parameters and result are typed JSON.
fn json(version: usize) -> String {
    format!(
        "//! Greets the caller.\nuse method_sdk::prelude::*;\n\n#[derive(Deserialize)]\npub struct Params {{\n    pub name: String,\n    pub times: Option<u32>,\n}}\n\n#[derive(Serialize)]\npub struct Answer {{\n    pub greeting: String,\n    pub version: u32,\n}}\n\npub async fn invoke(_: &mut Handler, params: Params) -> Result<Answer> {{\n    if params.name.is_empty() {{\n        return Err(Error::new(2001, \"A name must not be empty\"));\n    }}\n    let greeting = format!(\"hello {{}}\", params.name).repeat(params.times.unwrap_or(1) as usize);\n    Ok(Answer {{ greeting, version: {version} }})\n}}\n"
    )
}

/// Returns the source of a method that queries the database.
fn query(version: usize) -> String {
    format!(
        "//! Adds in the database.\nuse method_sdk::prelude::*;\n\n#[derive(Serialize)]\npub struct Answer {{\n    pub sum: i64,\n    pub version: u32,\n}}\n\npub async fn invoke(handler: &mut Handler, _: Value) -> Result<Answer> {{\n    let pool = handler.connection().db().sqlite()?;\n    let (sum, text): (i64, String) = sqlx::query_as(\"SELECT ? + 2, ?\").bind(40_i64).bind(\"text\").fetch_one(pool).await?;\n    tracing::debug!(text, \"queried\");\n    Ok(Answer {{ sum, version: {version} }})\n}}\n"
    )
}

/// Calls a method until its response contains `text`. Returns the time that took.
fn until(path: &str, text: &str) -> Duration {
    let began = Instant::now();
    let mut connection = None;
    loop {
        if connection.is_none() {
            connection = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], PORT))).ok();
        }
        if let Some(stream) = &mut connection {
            match call(stream, path) {
                Some(answer) if answer.contains(text) => return began.elapsed(),
                Some(_) => {}
                None => connection = None,
            }
        }
        assert!(began.elapsed() < TIMEOUT, "the response of {path} does not contain {text}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn call(stream: &mut TcpStream, path: &str) -> Option<String> {
    const BODY: &str = r#"{"name": "alice"}"#;
    stream.set_nodelay(true).ok()?;
    write!(stream, "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len()).ok()?;
    let mut answer = String::new();
    let mut piece = [0; 4096];
    loop {
        let length = stream.read(&mut piece).ok().filter(|length| *length > 0)?;
        answer.push_str(&String::from_utf8_lossy(&piece[..length]));
        let Some((head, body)) = answer.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        if body.len() >= length.parse().ok()? {
            return Some(answer);
        }
    }
}

fn row(what: &str, times: &[Duration]) {
    let mut times: Vec<u128> = times.iter().map(Duration::as_millis).collect();
    times.sort_unstable();
    match &times[..] {
        [only] => println!("{what:<36} {only:>6}"),
        [least, .., most] => println!("{what:<36} {:>6}  ({least}-{most})", times[times.len() / 2]),
        [] => {}
    }
}
