//! The command line.

use serde::{Deserialize, Serialize};
use structopt::StructOpt;
use structopt::clap::AppSettings;

/// The profile of Cargo that is documented for production.
const PROFILE: &str = "release";

const NOTES: &str = "\
PARTS (all of them if none is named):
    hello        demo.hello at the RPC endpoint, 64 connections: this server and all peers
    urls         demo.hello at its method URL
    connections  demo.hello with 1, 64 and 512 connections
    http2        demo.hello over HTTP/2; needs h2load (Debian: nghttp2-client)
    signed       demo.echo unsigned and signed, and demo.counter, on each database
    login        account.login
    body         demo.echo with 64 KiB
    stream       a response of 1,000 chunks
    idle         the memory of idle connections
    start        the time from exec to the first answer
    trees        applications of many methods: build, binary, start, call
    reload       development mode: from a saved file to its first answer (half an hour)
    report       no measurement: writes docs/benchmarks.md from the results

Each part writes its samples to target/bench/results/PART.json. After the parts,
docs/benchmarks.md and its plots are written from the results of all parts, and the
tables are printed.

It needs Linux with two cores, of which it uses the first for the server and the second
for the load; Rust, a C compiler, git and util-linux; for the peers Node 20 with npm and
Python 3.11 with venv; for the databases what tests/database installs. What is missing
and optional is left out with a sentence.";

/// Measures this server beside its peers, in turns, on this machine.
#[derive(StructOpt)]
#[structopt(
    name = "bench/run",
    usage = "bench/run [OPTIONS] [PART]...",
    after_help = NOTES,
    setting = AppSettings::UnifiedHelpMessage,
    setting = AppSettings::DisableVersion,
    setting = AppSettings::ColorNever
)]
pub struct Options {
    /// Parts to measure
    #[structopt(value_name = "PART")]
    pub parts: Vec<String>,

    /// Continues parts whose results are of the same commit, machine and settings
    #[structopt(long)]
    pub resume: bool,

    /// Builds and installs everything, and measures nothing
    #[structopt(long)]
    pub build_only: bool,

    #[structopt(flatten)]
    pub settings: Settings,
}

// The settings of a measurement. Not a doc comment, which structopt would print instead of that of `Options`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, StructOpt)]
pub struct Settings {
    /// Rounds, in which the servers take turns
    #[structopt(long, default_value = "5", value_name = "N")]
    pub rounds: usize,

    /// Seconds of a measurement
    #[structopt(long, default_value = "3", value_name = "N")]
    pub seconds: f64,

    /// Requests a second of the latencies at a fixed rate
    #[structopt(long, default_value = "30000", value_name = "N")]
    pub rate: f64,

    /// Profile of Cargo
    #[structopt(long, default_value = PROFILE, value_name = "NAME")]
    pub profile: String,

    /// Idle connections of the part `idle`
    #[structopt(long, default_value = "10000", value_name = "N")]
    pub idle_connections: usize,

    /// Numbers of methods of the part `trees`
    #[structopt(long, default_value = "10,1000,10000", value_name = "N,N", require_delimiter = true)]
    pub trees: Vec<usize>,

    /// Databases of the part `signed`: sqlite, mysql, postgres, mongodb
    #[structopt(long, default_value = "sqlite,mysql,postgres,mongodb", value_name = "A,B", require_delimiter = true)]
    pub databases: Vec<String>,

    /// Part `reload`: reloads after which the memory is measured; 0 skips that
    #[structopt(long, default_value = "1000", value_name = "N")]
    pub reloads: usize,

    /// Part `reload`: databases in the build of development mode
    #[structopt(long, default_value = "sqlite", value_name = "A,B")]
    pub reload_databases: String,
}

impl Settings {
    /// Returns `true` if samples with these settings belong to a measurement with the other ones. The number of rounds may differ.
    pub fn continues(&self, other: &Settings) -> bool {
        *self == Settings { rounds: self.rounds, ..other.clone() }
    }

    /// Returns the time of a measurement.
    pub fn duration(&self) -> std::time::Duration {
        std::time::Duration::from_secs_f64(self.seconds)
    }
}
