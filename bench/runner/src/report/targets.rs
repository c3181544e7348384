//! The targets of the project, and whether they are met.

use std::collections::BTreeMap;

use crate::report::tables::{number, table};
use crate::results::Results;
use crate::server::Server;

/// A measurement with a limit.
struct Target {
    name: String,
    limit: Limit,
    decimals: usize,
    measured: Option<f64>,
}

enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

use Limit::{AtLeast, AtMost};

impl Target {
    fn new(name: impl Into<String>, limit: Limit, decimals: usize, measured: Option<f64>) -> Self {
        Target { name: name.into(), limit, decimals, measured }
    }

    fn row(self) -> Vec<String> {
        let (limit, is_met) = match self.limit {
            AtMost(most) => (format!("at most {most}"), self.measured.map(|measured| measured <= most)),
            AtLeast(least) => {
                let text = format!("at least {}", number(Some(least), 0));
                (text, self.measured.map(|measured| measured >= least))
            }
        };
        let met = is_met.map_or("not measured", |is_met| if is_met { "yes" } else { "no" });
        vec![self.name, limit, number(self.measured, self.decimals), met.to_owned()]
    }
}

/// Returns the table of targets.
pub fn section(results: &BTreeMap<&str, Results>) -> String {
    let targets = calls(results).into_iter().chain(sessions(results)).chain(sizes(results));
    table(&["", "target", "measured", "met"], targets.map(Target::row))
}

/// The targets of `demo.hello`, as ratios within a round.
fn calls(results: &BTreeMap<&str, Results>) -> Vec<Target> {
    let hello =
        |server: Server, base: Server, name: &str| results.get("hello")?.ratio("rpc", server.name(), base.name(), name);
    let (on, off) = (Server::Simpleapi, Server::SimpleapiLogOff);
    let cpu = |server, base| hello(server, base, "cpu_us");
    let rate = |server, base| hello(server, base, "calls_per_s");
    vec![
        Target::new("`demo.hello`, log on: CPU x hyper", AtMost(1.35), 2, cpu(on, Server::Hyper)),
        Target::new("`demo.hello`, log off: CPU x hyper", AtMost(1.28), 2, cpu(off, Server::Hyper)),
        Target::new("log on: CPU x axum with the same features", AtMost(0.8), 2, cpu(on, Server::AxumFeatures)),
        Target::new(
            "log off: CPU x axum with the same features",
            AtMost(0.92),
            2,
            cpu(off, Server::AxumFeaturesLogOff),
        ),
        Target::new("log on: requests/s x FastAPI without a log", AtLeast(10.0), 1, rate(on, Server::FastApi)),
        Target::new("log on: requests/s x Fastify without a log", AtLeast(3.0), 1, rate(on, Server::Fastify)),
        Target::new("log off: requests/s x Fastify without a log", AtLeast(3.0), 1, rate(off, Server::Fastify)),
        Target::new("log on: p99 at the fixed rate x hyper", AtMost(1.3), 2, hello(on, Server::Hyper, "rate_p99_us")),
    ]
}

/// The targets of calls in a session, on SQLite.
fn sessions(results: &BTreeMap<&str, Results>) -> Vec<Target> {
    const STORE: &str = "SQLite";
    let signed = results.get("signed");
    let echo = signed.and_then(|signed| signed.ratio_of_cases(STORE, "echo, signed", "echo, unsigned", "cpu_us"));
    let counter = |name| signed?.median("counter", STORE, name);
    vec![
        Target::new("`demo.echo`, signed: CPU x unsigned", AtMost(1.6), 2, echo),
        Target::new("`demo.counter`: saves/s", AtLeast(15_000.0), 0, counter("calls_per_s")),
        Target::new("`demo.counter`: p99, ms", AtMost(30.0), 1, counter("p99_us").map(|us| us / 1000.0)),
    ]
}

/// The targets of trees, memory and the start.
fn sizes(results: &BTreeMap<&str, Results>) -> Vec<Target> {
    let name = Server::Simpleapi.name();
    let trees = results.get("trees");
    let sizes = trees
        .map_or(Vec::new(), |trees| trees.cases().iter().filter_map(|case| case.parse().ok()).collect::<Vec<usize>>());
    let (few, many) = (sizes.iter().min().unwrap_or(&10), sizes.iter().max().unwrap_or(&10_000));
    let tree = trees.and_then(|trees| trees.ratio_of_cases(name, &many.to_string(), &few.to_string(), "cpu_us"));
    let tree_name = format!("a call among {} methods: CPU x among {few}", number(Some(*many as f64), 0));
    let idle = |value| results.get("idle")?.median("idle", name, value);
    let start = results.get("start").and_then(|start| start.median("start", name, "start_ms"));
    vec![
        // "The same" within the noise of a measurement.
        Target::new(tree_name, AtMost(1.05), 2, tree),
        Target::new("idle server with SQLite open: MiB", AtMost(20.0), 1, idle("idle_kib").map(|kib| kib / 1024.0)),
        Target::new("idle connection: KiB", AtMost(16.0), 1, idle("per_connection_kib")),
        Target::new("start: ms from exec to the first answer", AtMost(50.0), 1, start),
    ]
}
