//! Part `reload`: the time from a saved file to its first new answer, in development mode and with a build of the same tree and a restart.
//!
//! Unlike the other parts it pins nothing, because the compiler is what it measures, and builds with the profile `dev`.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::Context;
use crate::app::{App, greeting_method};
use crate::command::{free_port, run as run_command};
use crate::http;
use crate::interrupt::Interrupt;
use crate::process::resident_kib;
use crate::results::{Recorder, Values};

/// The numbers of methods.
const SIZES: [usize; 3] = [3, 50, 500];

/// The time limit of every wait.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The time between a response and the next save: a developer looks at a result before the next edit.
const PAUSE: Duration = Duration::from_secs(1);

/// The case of the samples of memory.
pub const MEMORY: &str = "memory";

pub fn run(context: &Context<'_>, recorder: &mut Recorder<'_>) -> Result<()> {
    let rounds = context.settings.rounds;
    for methods in SIZES {
        let case = methods.to_string();
        if recorder.has(&case, "cargo build and a restart", rounds) {
            continue;
        }
        // The rows of a size belong together: one that was interrupted begins again.
        recorder.results.samples.retain(|sample| sample.case != case);
        let tree = Tree::new(context, methods)?;
        for (row, times) in tree.measure(rounds)? {
            eprintln!(
                "reload, {methods} methods: {row}: {:?}",
                times.iter().map(Duration::as_millis).collect::<Vec<_>>()
            );
            for (round, time) in (1..).zip(times) {
                let values = Values::from([("ms".to_owned(), time.as_secs_f64() * 1000.0)]);
                recorder.add(&case, row, round, values)?;
            }
        }
    }
    let reloads = context.settings.reloads;
    if reloads > 0 && !recorder.has(MEMORY, &reloads.to_string(), 1) {
        recorder.results.samples.retain(|sample| sample.case != MEMORY);
        for (reload, kib) in Tree::new(context, SIZES[0])?.measure_memory(reloads)? {
            eprintln!("reload: after {reload} reloads: {kib} KiB resident");
            recorder.add(MEMORY, &reload.to_string(), 1, Values::from([("resident_kib".to_owned(), kib)]))?;
        }
    }
    Ok(())
}

/// The times of the rows, in the order in which they were measured.
type Rows = Vec<(&'static str, Vec<Duration>)>;

/// An application whose methods are edited.
struct Tree<'a> {
    app: App,
    target: PathBuf,
    address: SocketAddr,
    interrupt: &'a Interrupt,
}

impl<'a> Tree<'a> {
    fn new(context: &'a Context<'_>, methods: usize) -> Result<Self> {
        let workspace = context.workspace;
        let parent = workspace.folder.join("reload");
        let name = format!("app{methods}");
        let folder = parent.join(&name);
        let _ = fs::remove_dir_all(&folder);
        let app = App::new(&workspace.root, folder, &name, &context.settings.reload_databases)?;
        app.write("methods/query.rs", &query_method(0))?;
        for number in 1..methods {
            app.write(&format!("methods/group{}/m{number}.rs", number % 10), &greeting_method(0))?;
        }
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        Ok(Tree { app, target: parent.join("target"), address, interrupt: &workspace.interrupt })
    }

    fn measure(&self, runs: usize) -> Result<Rows> {
        let mut rows = Rows::new();
        self.cargo(&["--features", "dev"])?;
        let _ = fs::remove_dir_all(self.target.join("debug/simpleapi-dev"));
        let (server, took) = self.start(&["dev"])?;
        rows.push(("start with nothing compiled: first answer", vec![took]));
        rows.push(("start with nothing compiled: everything compiled", vec![server.until_ready(self.interrupt)?]));
        drop(server);
        let (mut first, mut ready) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let (server, took) = self.start(&["dev"])?;
            first.push(took);
            ready.push(server.until_ready(self.interrupt)?);
        }
        rows.push(("start with everything unchanged: first answer", first));
        rows.push(("start with everything unchanged: everything loaded", ready));

        let (server, _) = self.start(&["dev"])?;
        server.until_ready(self.interrupt)?;
        let changed = "methods/group1/m1.rs";
        let mut json = self.edits(runs, changed, "/group1/m1", greeting_method)?;
        rows.push(("a method with JSON alone, the first time", vec![json.remove(0)]));
        rows.push(("a method with JSON alone", json));
        let mut query = self.edits(runs, "methods/query.rs", "/query", query_method)?;
        rows.push(("a method with an sqlx query, the first time", vec![query.remove(0)]));
        rows.push(("a method with an sqlx query", query));
        let (mut new, mut deleted) = (Vec::new(), Vec::new());
        for run in 0..runs {
            std::thread::sleep(PAUSE);
            let file = format!("methods/new{run}.rs");
            self.app.write(&file, &greeting_method(run))?;
            new.push(self.until(&format!("/new{run}"), &format!("\"version\":{run}"))?);
            fs::remove_file(self.app.folder.join(file))?;
            deleted.push(self.until(&format!("/new{run}"), "1001")?);
        }
        rows.push(("a new file", new));
        rows.push(("a deleted file", deleted));
        drop(server);

        self.cargo(&[])?;
        let mut server = None;
        let mut rebuilt = Vec::new();
        for version in 1000..1000 + runs {
            let began = Instant::now();
            self.app.write(changed, &greeting_method(version))?;
            self.cargo(&[])?;
            drop(server.take());
            server = Some(self.start(&[])?.0);
            self.until("/group1/m1", &format!("\"version\":{version}"))?;
            rebuilt.push(began.elapsed());
        }
        rows.push(("cargo build and a restart", rebuilt));
        Ok(rows)
    }

    /// Edits a method one time more than `runs`. The first compilation of a method has no incremental state to build on.
    fn edits(&self, runs: usize, file: &str, path: &str, text: fn(usize) -> String) -> Result<Vec<Duration>> {
        let edit = |version: usize| {
            std::thread::sleep(PAUSE);
            self.app.write(file, &text(version))?;
            self.until(path, &format!("\"version\":{version}"))
        };
        (1..runs + 2).map(edit).collect()
    }

    /// Returns the resident memory in KiB after some numbers of reloads.
    fn measure_memory(&self, reloads: usize) -> Result<Vec<(usize, f64)>> {
        self.cargo(&["--features", "dev"])?;
        let (server, _) = self.start(&["dev"])?;
        let mut rows = Vec::new();
        for reload in 0..=reloads {
            if reload > 0 {
                self.app.write("methods/group1/m1.rs", &greeting_method(reload))?;
                self.until("/group1/m1", &format!("\"version\":{reload}"))?;
            }
            if reload == 1 {
                std::thread::sleep(PAUSE);
            }
            if [0, 1, reloads / 10, reloads / 2, reloads].contains(&reload) {
                rows.push((reload, resident_kib(server.process.id())?));
            }
        }
        Ok(rows)
    }

    fn cargo(&self, arguments: &[&str]) -> Result<()> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet"]).args(arguments).arg("--target-dir").arg(&self.target);
        run_command(cargo.current_dir(&self.app.folder), self.interrupt)
    }

    /// Starts a server and waits for the first response of a method. Returns the server and the time that took.
    fn start(&self, arguments: &[&str]) -> Result<(Server, Duration)> {
        let began = Instant::now();
        let log = self.app.folder.join("log");
        let process = Command::new(self.target.join("debug").join(&self.app.name))
            .args([format!("--port={}", self.address.port()), "--shutdown_delay=0".to_owned()])
            .args(arguments)
            .current_dir(&self.app.folder)
            .stdin(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("the application does not start")?;
        let server = Server { process, log, began };
        self.until("/query", "result")?;
        Ok((server, began.elapsed()))
    }

    /// Calls a method until its response contains `text`. Returns the time that took.
    fn until(&self, path: &str, text: &str) -> Result<Duration> {
        let began = Instant::now();
        let mut connection = None;
        loop {
            self.interrupt.check()?;
            if connection.is_none() {
                connection = TcpStream::connect(self.address).ok();
            }
            if let Some(stream) = &mut connection {
                match call(stream, path) {
                    Some(answer) if answer.contains(text) => return Ok(began.elapsed()),
                    Some(_) => {}
                    None => connection = None,
                }
            }
            ensure!(began.elapsed() < TIMEOUT, "the response of {path} does not contain {text}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A server in development mode, or a debug build. It is killed when the value is dropped.
struct Server {
    process: Child,
    log: PathBuf,
    began: Instant,
}

impl Server {
    /// Waits until all methods are loaded. Returns the time since the start.
    fn until_ready(&self, interrupt: &Interrupt) -> Result<Duration> {
        while !is_ready(&self.log) {
            interrupt.check()?;
            ensure!(self.began.elapsed() < TIMEOUT, "the server is not ready");
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(self.began.elapsed())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_ready(log: &Path) -> bool {
    fs::read_to_string(log).is_ok_and(|log| log.contains("methods, ready in"))
}

/// Returns the source of a method that queries the database.
fn query_method(version: usize) -> String {
    format!(
        r#"//! Adds in the database.
use method_sdk::prelude::*;

#[derive(Serialize)]
pub struct Answer {{
    pub sum: i64,
    pub version: u32,
}}

pub async fn invoke(handler: &mut Handler, _: Value) -> Result<Answer> {{
    let pool = handler.connection().db().sqlite()?;
    let (sum, text): (i64, String) = sqlx::query_as("SELECT ? + 2, ?").bind(40_i64).bind("text").fetch_one(pool).await?;
    tracing::debug!(text, "queried");
    Ok(Answer {{ sum, version: {version} }})
}}
"#
    )
}

/// Returns the whole response, with any status, or `None` if the connection has ended.
fn call(stream: &mut TcpStream, path: &str) -> Option<String> {
    stream.set_nodelay(true).ok()?;
    let (_, response) = http::response_on(stream, &http::post(path, r#"{"name": "alice"}"#, None)).ok()?;
    Some(String::from_utf8_lossy(&response).into_owned())
}
