//! Measures this server beside its peers: the program of `bench/run`. `bench/run --help` lists the parts.
//!
//! | file | |
//! |---|---|
//! | `options.rs` | the command line |
//! | `parts/` | the parts, each of one subject |
//! | `server.rs`, `app.rs` | the servers that are compared, and generated applications |
//! | `artifacts.rs` | builds and installations |
//! | `process.rs` | a server that runs: its CPU time, its memory and its log |
//! | `load.rs`, `http.rs` | the load and its requests |
//! | `results.rs`, `machine.rs` | samples in files, and what they were measured on |
//! | `report/` | tables, targets and plots from the samples |
//! | `command.rs`, `interrupt.rs` | other programs, Ctrl-C |

mod app;
mod artifacts;
mod command;
mod http;
mod interrupt;
mod load;
mod machine;
mod options;
mod parts;
mod process;
mod report;
mod results;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use structopt::StructOpt;

use crate::artifacts::Workspace;
use crate::interrupt::Interrupt;
use crate::machine::Machine;
use crate::options::Options;
use crate::parts::{Context, PARTS, Part};
use crate::results::Recorder;
use crate::server::{Server, Servers};

/// The part that measures nothing.
const REPORT: &str = "report";

fn main() -> ExitCode {
    match run(&Options::from_args()) {
        Ok(failed) if failed.is_empty() => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!(
                "bench/run: failed: {}; `bench/run --resume {}` tries again",
                failed.join(", "),
                failed.join(" ")
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("bench/run: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the parts and writes the report. Returns the names of parts that failed.
fn run(options: &Options) -> Result<Vec<&'static str>> {
    let parts = select(&options.parts)?;
    let interrupt = Interrupt::new()?;
    let root = std::env::var_os("BENCH_ROOT").map(PathBuf::from).context("start this program with bench/run")?;
    let workspace = Workspace::new(root, options.settings.profile.clone(), interrupt)?;
    if options.build_only {
        Servers::build(&workspace, &Server::ALL)?;
        return Ok(Vec::new());
    }
    let mut failed = Vec::new();
    if !parts.is_empty() {
        let machine = Machine::read(&workspace.root)?;
        for part in &parts {
            if let Err(error) = measure(part, options, &workspace, &machine) {
                workspace.interrupt.check()?;
                eprintln!("bench/run: {}: {error:#}", part.name);
                failed.push(part.name);
            }
        }
        server::clean(&workspace);
    }
    let all: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
    let measured: Vec<&str> = parts.iter().map(|part| part.name).collect();
    report::write(&workspace, if measured.is_empty() { &all } else { &measured })?;
    Ok(failed)
}

/// Returns the parts of the command line; all if it names none.
fn select(names: &[String]) -> Result<Vec<&'static Part>> {
    if names.is_empty() {
        return Ok(PARTS.iter().collect());
    }
    let is_known = |name: &String| name == REPORT || PARTS.iter().any(|part| part.name == name);
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
        let known: Vec<&str> = PARTS.iter().map(|part| part.name).chain([REPORT]).collect();
        bail!("there is no part {unknown}; the parts are {}", known.join(", "));
    }
    Ok(PARTS.iter().filter(|part| names.iter().any(|name| name == part.name)).collect())
}

fn measure(part: &Part, options: &Options, workspace: &Workspace, machine: &Machine) -> Result<()> {
    let settings = &options.settings;
    eprintln!("== {}", part.name);
    std::fs::create_dir_all(workspace.folder.join("data"))?;
    let folder = &workspace.folder;
    let mut recorder = Recorder::new(folder, part.name, machine, settings, options.resume, &workspace.interrupt)?;
    (part.run)(&Context { workspace, settings }, &mut recorder)
}
