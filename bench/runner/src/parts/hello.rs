//! Parts `hello` and `urls`: the smallest call, on every server.

use anyhow::Result;

use super::{CONNECTIONS, Context};
use crate::process::Process;
use crate::results::{Recorder, Values};
use crate::server::{Server, Servers, check_hello, hello_request, hello_url_request};

/// Requests a second that every server can serve.
pub const LOW_RATE: f64 = 1000.0;

/// The share of a server's throughput up to which a fixed rate is tried.
const MAX_LOAD: f64 = 0.9;

/// Measures `demo.hello` at the RPC endpoint, also at fixed rates.
pub fn rpc(context: &Context<'_>, recorder: &mut Recorder<'_>) -> Result<()> {
    measure(context, recorder, &Server::ALL, "rpc", &hello_request(), true)
}

/// Measures `demo.hello` at its method URL.
pub fn urls(context: &Context<'_>, recorder: &mut Recorder<'_>) -> Result<()> {
    measure(context, recorder, &Server::ALL, "url", &hello_url_request(), false)
}

fn measure(
    context: &Context<'_>,
    recorder: &mut Recorder<'_>,
    wanted: &[Server],
    case: &str,
    request: &[u8],
    has_rates: bool,
) -> Result<()> {
    let servers = Servers::build(context.workspace, wanted)?;
    servers.notes.iter().for_each(|note| recorder.note(note.as_str()));
    let processes = context.start(&servers, wanted)?;
    let requests = [request.to_vec()];
    let mut cells = Vec::new();
    for (server, process) in &processes {
        check_hello(process, *server, request)?;
        cells.push((case.to_owned(), server.name().to_owned(), (*server, process)));
    }
    recorder.rounds(&cells, |(server, process), _| {
        let mut values = closed_loop(context, *server, process, &requests)?;
        if has_rates {
            context.fixed_rate(process, &requests, LOW_RATE, "low_", &mut values)?;
            if values["calls_per_s"] * MAX_LOAD > context.settings.rate {
                context.fixed_rate(process, &requests, context.settings.rate, "rate_", &mut values)?;
            }
            process.take_log_lines()?;
        }
        Ok(values)
    })
}

/// Measures a closed loop, and counts the lines of the log: a log that loses lines costs less than one that is complete.
fn closed_loop(context: &Context<'_>, server: Server, process: &Process, requests: &[Vec<u8>]) -> Result<Values> {
    process.take_log_lines()?;
    let (mut values, outcome) = context.closed_loop(process, requests, CONNECTIONS)?;
    if server.has_log() {
        let lines = process.take_log_lines()?;
        values.insert("log_lines_per_call".into(), lines as f64 / outcome.all_calls as f64);
    }
    Ok(values)
}
