//! The servers that are compared, and their command lines.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::artifacts::Workspace;
use crate::command::free_port;
use crate::http;
use crate::process::Process;

/// The options of this server in every measurement: no limit of connections that the load would reach, and no connection that is closed meanwhile.
const OPTIONS: [&str; 5] = [
    "--log_format=json",
    "--shutdown_delay=0",
    "--max_connections=20000",
    "--max_connections_per_address=20000",
    "--idle_timeout=600s",
];

/// A server under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Simpleapi,
    SimpleapiLogOff,
    Hyper,
    HyperHttp2,
    Warp,
    Axum,
    Actix,
    AxumFeatures,
    AxumFeaturesLogOff,
    Fastify,
    FastApi,
}

impl Server {
    /// All servers, each once.
    pub const ALL: [Server; 10] = [
        Server::Simpleapi,
        Server::SimpleapiLogOff,
        Server::Hyper,
        Server::Warp,
        Server::Axum,
        Server::Actix,
        Server::AxumFeatures,
        Server::AxumFeaturesLogOff,
        Server::Fastify,
        Server::FastApi,
    ];

    /// The servers that implement every call, not `demo.hello` alone.
    pub const COMPLETE: [Server; 5] =
        [Server::Simpleapi, Server::SimpleapiLogOff, Server::Hyper, Server::AxumFeatures, Server::AxumFeaturesLogOff];

    /// Returns the name of the server in results and reports.
    pub fn name(self) -> &'static str {
        match self {
            Server::Simpleapi => "SimpleAPIServer",
            Server::SimpleapiLogOff => "SimpleAPIServer, log off",
            Server::Hyper | Server::HyperHttp2 => "hyper",
            Server::Warp => "warp filter",
            Server::Axum => "axum",
            Server::Actix => "actix-web",
            Server::AxumFeatures => "axum, same features",
            Server::AxumFeaturesLogOff => "axum, same features, log off",
            Server::Fastify => "Fastify",
            Server::FastApi => "FastAPI",
        }
    }

    /// Returns `true` if the server writes a line for each call.
    pub fn has_log(self) -> bool {
        matches!(self, Server::Simpleapi | Server::AxumFeatures)
    }

    fn is_simpleapi(self) -> bool {
        matches!(self, Server::Simpleapi | Server::SimpleapiLogOff)
    }
}

/// The programs of the servers.
pub struct Servers<'a> {
    pub workspace: &'a Workspace,
    simpleapi: PathBuf,
    peers: Option<PathBuf>,
    fastify: Option<PathBuf>,
    fastapi: Option<PathBuf>,
    /// The reasons why servers are left out.
    pub notes: Vec<String>,
}

impl<'a> Servers<'a> {
    /// Builds and installs the programs of some servers.
    ///
    /// # Errors
    /// Returns an error if a build in Rust fails.
    pub fn build(workspace: &'a Workspace, servers: &[Server]) -> Result<Self> {
        let mut notes = Vec::new();
        let mut note = |result: std::result::Result<PathBuf, String>| result.map_err(|reason| notes.push(reason)).ok();
        let needs = |server: Server| servers.contains(&server);
        let simpleapi = workspace.build_server()?;
        let needs_peers =
            servers.iter().any(|server| !server.is_simpleapi() && !matches!(server, Server::Fastify | Server::FastApi));
        let peers = if needs_peers { Some(workspace.build_peers()?) } else { None };
        let fastify = if needs(Server::Fastify) { note(workspace.install_fastify()?) } else { None };
        let fastapi = if needs(Server::FastApi) { note(workspace.install_fastapi()?) } else { None };
        for reason in &notes {
            eprintln!("{reason}");
        }
        Ok(Servers { workspace, simpleapi, peers, fastify, fastapi, notes })
    }

    /// Returns those of the servers whose programs are there.
    pub fn available(&self, servers: &[Server]) -> Vec<Server> {
        let is_there = |server: &Server| match server {
            Server::Fastify => self.fastify.is_some(),
            Server::FastApi => self.fastapi.is_some(),
            _ => true,
        };
        servers.iter().copied().filter(is_there).collect()
    }

    /// Starts a server with a new database and waits for its first answer.
    ///
    /// # Errors
    /// Returns an error if it does not start.
    pub fn start(&self, server: Server) -> Result<Process> {
        let folder = self.workspace.data_folder(&format!("{server:?}"))?;
        let database = format!("--sqlite_path={}", folder.join("bench.db").display());
        self.start_with(server, &[database])
    }

    /// Starts a server; `options` are those of this server's command line.
    ///
    /// # Errors
    /// Returns an error if it does not start.
    pub fn start_with(&self, server: Server, options: &[String]) -> Result<Process> {
        let port = free_port()?;
        let (program, arguments) = self.command(server, port, options)?;
        let log = self.workspace.folder.join(format!("data/{port}.log"));
        Process::start(&program, &arguments, port, log, &hello_request(), &self.workspace.interrupt)
    }

    fn command(&self, server: Server, port: u16, options: &[String]) -> Result<(PathBuf, Vec<String>)> {
        let missing = "the program has been built";
        let peer = |name: &str, option: &[&str]| -> Result<(PathBuf, Vec<String>)> {
            let program = self.peers.as_ref().context(missing)?.join(name);
            let arguments = std::iter::once(port.to_string()).chain(option.iter().map(|option| (*option).to_owned()));
            Ok((program, arguments.collect()))
        };
        match server {
            Server::Simpleapi => Ok((self.simpleapi.clone(), arguments(port, "info", options))),
            Server::SimpleapiLogOff => Ok((self.simpleapi.clone(), arguments(port, "warn", options))),
            Server::Hyper => peer("hyper", &[]),
            Server::HyperHttp2 => peer("hyper", &["http2"]),
            Server::Warp => peer("warp", &[]),
            Server::Axum => peer("axum", &[]),
            Server::Actix => peer("actix", &[]),
            Server::AxumFeatures => peer("axum_features", &[]),
            Server::AxumFeaturesLogOff => peer("axum_features", &["quiet"]),
            Server::Fastify => {
                let script = self.fastify.as_ref().context(missing)?.join("server.mjs");
                Ok(("node".into(), vec![script.display().to_string(), port.to_string()]))
            }
            Server::FastApi => {
                let folder = self.fastapi.as_ref().context(missing)?;
                let options = ["main:app", "--no-access-log", "--log-level=warning", "--timeout-keep-alive=600"];
                let mut arguments: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
                arguments.push(format!("--app-dir={}", folder.display()));
                arguments.push(format!("--port={port}"));
                Ok((folder.join("venv/bin/uvicorn"), arguments))
            }
        }
    }
}

/// Returns the command line of this server, or of an application of its framework.
pub fn arguments(port: u16, log_level: &str, options: &[String]) -> Vec<String> {
    let mut arguments = vec![format!("--port={port}"), format!("--log_level={log_level}")];
    arguments.extend(OPTIONS.iter().map(|option| (*option).to_owned()));
    arguments.extend_from_slice(options);
    arguments
}

/// The parameters of `demo.hello`, and the response of every server.
pub const HELLO_PARAMS: &str = r#"{"name":"alice","n":41}"#;
const HELLO_RESPONSE: &[u8] = br#"{"result":{"greeting":"hello alice","n":42}}"#;

/// Returns a call of `demo.hello` at the RPC endpoint.
pub fn hello_request() -> Vec<u8> {
    http::post("/", &http::envelope("demo.hello", HELLO_PARAMS), None)
}

/// Returns a call of `demo.hello` at its URL.
pub fn hello_url_request() -> Vec<u8> {
    http::post("/demo/hello", HELLO_PARAMS, None)
}

/// Checks that a server answers a request of `demo.hello` with the same bytes as every other.
///
/// # Errors
/// Returns an error if it does not.
pub fn check_hello(process: &Process, server: Server, request: &[u8]) -> Result<()> {
    let response = http::exchange(process.address, request)?;
    anyhow::ensure!(
        response == HELLO_RESPONSE,
        "the response of {} differs: {}",
        server.name(),
        String::from_utf8_lossy(&response)
    );
    Ok(())
}

/// Removes what servers have left in the folder of data.
pub fn clean(workspace: &Workspace) {
    let _ = fs::remove_dir_all(workspace.folder.join("data"));
}
