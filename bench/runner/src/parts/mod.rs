//! The parts of a run. Each measures one subject and records its samples.

mod body;
mod connections;
mod hello;
mod http2;
mod idle;
mod login;
mod reload;
mod signed;
mod start;
mod stream;
mod trees;

use std::time::Duration;

pub use self::hello::LOW_RATE;
pub use self::reload::MEMORY;

use anyhow::{Result, ensure};

use crate::artifacts::Workspace;
use crate::load::{Load, Outcome};
use crate::options::Settings;
use crate::process::{Process, resident_kib};
use crate::results::{Recorder, Values};
use crate::server::{Server, Servers};

/// The connections of a load where the part is not about their number.
pub const CONNECTIONS: usize = 64;

/// The time before each measurement in which the load runs already.
const WARM_UP: Duration = Duration::from_millis(500);

/// The facts that all parts share.
pub struct Context<'a> {
    pub workspace: &'a Workspace,
    pub settings: &'a Settings,
}

/// A part: its name, and the function that measures it.
pub struct Part {
    pub name: &'static str,
    pub run: fn(&Context<'_>, &mut Recorder<'_>) -> Result<()>,
}

/// All parts, in the order in which they run.
pub const PARTS: [Part; 12] = [
    Part { name: "hello", run: hello::rpc },
    Part { name: "urls", run: hello::urls },
    Part { name: "connections", run: connections::run },
    Part { name: "http2", run: http2::run },
    Part { name: "signed", run: signed::run },
    Part { name: "login", run: login::run },
    Part { name: "body", run: body::run },
    Part { name: "stream", run: stream::run },
    Part { name: "idle", run: idle::run },
    Part { name: "start", run: start::run },
    Part { name: "trees", run: trees::run },
    Part { name: "reload", run: reload::run },
];

impl Context<'_> {
    /// Starts servers, which then take turns.
    fn start(&self, servers: &Servers<'_>, wanted: &[Server]) -> Result<Vec<(Server, Process)>> {
        servers.available(wanted).into_iter().map(|server| Ok((server, servers.start(server)?))).collect()
    }

    /// Measures a closed loop: the throughput, the CPU time of a call and the memory under load.
    fn closed_loop(&self, process: &Process, requests: &[Vec<u8>], connections: usize) -> Result<(Values, Outcome)> {
        let outcome = self.load(process, requests, connections, None)?;
        let calls = outcome.calls as f64;
        ensure!(calls > 0.0, "no call has ended");
        let mut values = Values::new();
        values.insert("calls_per_s".into(), calls / outcome.elapsed.as_secs_f64());
        values.insert("cpu_us".into(), outcome.cpu.as_secs_f64() * 1e6 / calls);
        values.insert("resident_kib".into(), resident_kib(process.pid())?);
        insert_latencies(&mut values, "", &outcome);
        if outcome.errors > 0 {
            values.insert("errors".into(), outcome.errors as f64);
        }
        Ok((values, outcome))
    }

    /// Measures the latencies at a fixed rate; adds nothing if the server does not keep up.
    fn fixed_rate(
        &self,
        process: &Process,
        requests: &[Vec<u8>],
        rate: f64,
        prefix: &str,
        values: &mut Values,
    ) -> Result<()> {
        let outcome = self.load(process, requests, CONNECTIONS, Some(rate))?;
        if !outcome.is_saturated {
            insert_latencies(values, prefix, &outcome);
        }
        Ok(())
    }

    fn load(&self, process: &Process, requests: &[Vec<u8>], connections: usize, rate: Option<f64>) -> Result<Outcome> {
        let load = Load {
            address: process.address,
            pid: process.pid(),
            requests,
            connections,
            warm_up: WARM_UP,
            duration: self.settings.duration(),
            rate,
        };
        let outcome = load.run(&self.workspace.interrupt)?;
        if let Some(error) = &outcome.first_error {
            eprintln!("{} of {} calls failed; the first: {error}", outcome.errors, outcome.calls);
        }
        Ok(outcome)
    }
}

fn insert_latencies(values: &mut Values, prefix: &str, outcome: &Outcome) {
    for (name, quantile) in [("p50_us", 0.5), ("p99_us", 0.99)] {
        let nanoseconds = outcome.latencies.value_at_quantile(quantile);
        values.insert(format!("{prefix}{name}"), nanoseconds as f64 / 1000.0);
    }
}
