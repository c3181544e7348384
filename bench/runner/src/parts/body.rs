//! Part `body`: `demo.echo` with parameters of 64 KiB.

use anyhow::{Result, ensure};

use super::Context;
use crate::http;
use crate::results::Recorder;
use crate::server::{Server, Servers};

/// Fewer connections than elsewhere: the bodies in flight stay within the buffers of the sockets.
const CONNECTIONS: usize = 16;

pub fn run(context: &Context<'_>, recorder: &mut Recorder<'_>) -> Result<()> {
    let servers = Servers::build(context.workspace, &Server::COMPLETE)?;
    let processes = context.start(&servers, &Server::COMPLETE)?;
    let parameters = format!("\"{}\"", "a".repeat(64 * 1024 - 2));
    let requests = [http::post("/demo/echo", &parameters, None)];
    let expected = format!("{{\"result\":{parameters}}}");
    let mut cells = Vec::new();
    for (server, process) in &processes {
        let response = http::exchange(process.address, &requests[0])?;
        ensure!(response == expected.as_bytes(), "the response of {} differs", server.name());
        cells.push(("64 KiB".to_owned(), server.name().to_owned(), process));
    }
    recorder.rounds(&cells, |process, _| Ok(context.closed_loop(process, &requests, CONNECTIONS)?.0))
}
