//! Part `http2`: `demo.hello` over HTTP/2 with prior knowledge, with h2load.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::Context;
use crate::command::{is_installed, output};
use crate::http;
use crate::load::LOAD_CORE;
use crate::process::{Process, cpu_time, resident_kib};
use crate::results::{Recorder, Values};
use crate::server::{HELLO_PARAMS, Server, Servers};

/// 64 requests in flight, as with HTTP/1.1.
const CONNECTIONS: usize = 8;
const STREAMS: usize = 8;

const SERVERS: [Server; 5] =
    [Server::Simpleapi, Server::SimpleapiLogOff, Server::HyperHttp2, Server::AxumFeatures, Server::AxumFeaturesLogOff];

pub fn run(context: &Context<'_>, recorder: &mut Recorder<'_>) -> Result<()> {
    if !is_installed("h2load") {
        recorder.note("HTTP/2 is not measured: h2load is missing; on Debian: apt-get install nghttp2-client");
        return Ok(());
    }
    let body = context.workspace.folder.join("data/hello.json");
    fs::write(&body, http::envelope("demo.hello", HELLO_PARAMS))?;
    let servers = Servers::build(context.workspace, &SERVERS)?;
    // h2load takes whole seconds.
    let seconds = context.settings.seconds.ceil() as u32;
    let mut cells = Vec::new();
    for server in SERVERS {
        cells.push(("http2".to_owned(), server.name().to_owned(), servers.start(server)?));
    }
    recorder.rounds(&cells, |process, _| {
        process.take_log_lines()?;
        h2load(process, &body, 1)?;
        let before = cpu_time(process.pid())?;
        let calls = h2load(process, &body, seconds)?;
        let cpu = cpu_time(process.pid())? - before;
        let mut values = Values::new();
        values.insert("calls_per_s".into(), calls / f64::from(seconds));
        values.insert("cpu_us".into(), cpu.as_secs_f64() * 1e6 / calls);
        values.insert("resident_kib".into(), resident_kib(process.pid())?);
        Ok(values)
    })
}

/// Runs h2load and returns the number of successful calls.
fn h2load(process: &Process, body: &Path, seconds: u32) -> Result<f64> {
    let mut command = Command::new("taskset");
    command.args(["-c", &LOAD_CORE.to_string(), "h2load", "-t1"]);
    command.args([format!("-c{CONNECTIONS}"), format!("-m{STREAMS}"), format!("-D{seconds}")]);
    command.args(["-H", "content-type: application/json", "-d"]).arg(body);
    let report = output(command.arg(format!("http://{}/", process.address)))?;
    let number = |label: &str| {
        let line = report.lines().find(|line| line.starts_with(label)).context("the report of h2load")?;
        let words: Vec<&str> = line.split([' ', ',']).collect();
        let numbers = words.iter().filter_map(|word| word.parse::<f64>().ok());
        anyhow::Ok(numbers.collect::<Vec<_>>())
    };
    // `status codes: 10 2xx, 0 3xx, 0 4xx, 0 5xx`
    let statuses = number("status codes:")?;
    ensure!(statuses.len() == 4 && statuses[1..].iter().sum::<f64>() == 0.0, "calls failed: {report}");
    ensure!(statuses[0] > 0.0, "no call has ended: {report}");
    Ok(statuses[0])
}
