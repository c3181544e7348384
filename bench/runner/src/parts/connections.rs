//! Part `connections`: `demo.hello` with few and many connections.

use anyhow::Result;

use super::Context;
use crate::results::Recorder;
use crate::server::{Server, Servers, hello_request};

const NUMBERS: [usize; 3] = [1, 64, 512];

pub fn run(context: &Context<'_>, recorder: &mut Recorder<'_>) -> Result<()> {
    let servers = Servers::build(context.workspace, &Server::COMPLETE)?;
    let processes = context.start(&servers, &Server::COMPLETE)?;
    let requests = [hello_request()];
    let mut cells = Vec::new();
    for number in NUMBERS {
        for (server, process) in &processes {
            cells.push((number.to_string(), server.name().to_owned(), (process, number)));
        }
    }
    recorder.rounds(&cells, |(process, number), _| {
        process.take_log_lines()?;
        Ok(context.closed_loop(process, &requests, *number)?.0)
    })
}
