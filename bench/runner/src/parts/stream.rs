//! Part `stream`: a response of 1,000 chunks of 16 bytes.

use anyhow::{Result, ensure};

use super::{CONNECTIONS, Context};
use crate::app::App;
use crate::command::free_port;
use crate::http;
use crate::results::Recorder;
use crate::server::{Server, Servers, arguments};

const PEERS: [Server; 3] = [Server::Hyper, Server::AxumFeatures, Server::AxumFeaturesLogOff];

pub fn run(context: &Context<'_>, recorder: &mut Recorder<'_>) -> Result<()> {
    let workspace = context.workspace;
    let servers = Servers::build(workspace, &PEERS)?;
    let app = App::streaming(workspace)?;
    app.build(workspace)?;
    let request = http::post("/stream", r#"{"chunks":1000}"#, None);
    let mut processes = Vec::new();
    for (server, level) in [(Server::Simpleapi, "info"), (Server::SimpleapiLogOff, "warn")] {
        let port = free_port()?;
        let process = app.start(workspace, port, &arguments(port, level, &[]), &request)?;
        processes.push((server, process));
    }
    processes.extend(context.start(&servers, &PEERS)?);
    let mut cells = Vec::new();
    for (server, process) in &processes {
        let response = String::from_utf8_lossy(&http::exchange(process.address, &request)?).into_owned();
        let lines: Vec<&str> = response.lines().filter(|line| line.len() == 15).collect();
        let is_complete = lines.len() == 1000 && lines[999].ends_with("999");
        ensure!(is_complete, "the response of {} has {} lines", server.name(), lines.len());
        cells.push(("stream".to_owned(), server.name().to_owned(), process));
    }
    let requests = [request];
    recorder.rounds(&cells, |process, _| {
        process.take_log_lines()?;
        Ok(context.closed_loop(process, &requests, CONNECTIONS)?.0)
    })
}
