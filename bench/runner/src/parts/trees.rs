//! Part `trees`: applications of few and many methods.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::{CONNECTIONS, Context};
use crate::app::App;
use crate::command::{free_port, output};
use crate::load::on_load_core;
use crate::process::Process;
use crate::results::{Recorder, Values};
use crate::server::{Server, arguments};

/// The samples of a build have this round: there is one.
const BUILD: usize = 0;

/// The methods of a tree that are called.
const CALLED: usize = 8;

pub fn run(context: &Context<'_>, recorder: &mut Recorder<'_>) -> Result<()> {
    let workspace = context.workspace;
    let server = Server::Simpleapi.name();
    let mut sizes = context.settings.trees.clone();
    sizes.sort_unstable();
    let mut apps = Vec::new();
    for size in sizes {
        let app = App::tree(workspace, size)?;
        let case = size.to_string();
        // The dependencies are built with the smallest tree, so that a time is that of the application alone.
        if apps.is_empty() {
            app.build(workspace)?;
        }
        if recorder.has(&case, server, BUILD) && app.program(workspace).is_file() {
            apps.push((size, app));
            continue;
        }
        eprintln!("trees: building {size} methods");
        app.touch()?;
        let began = Instant::now();
        if let Err(error) = app.build(workspace) {
            workspace.interrupt.check()?;
            recorder.note(format!("A tree of {size} methods is not measured: {error}"));
            continue;
        }
        let mut values = Values::from([("build_s".to_owned(), began.elapsed().as_secs_f64())]);
        values.insert("binary_mib".into(), stripped_mib(context, &app)?);
        recorder.add(&case, server, BUILD, values)?;
        apps.push((size, app));
    }
    let mut processes = Vec::new();
    for (size, app) in &apps {
        processes.push((size, app, start(context, *size, app)?));
    }
    let cells: Vec<_> = processes
        .iter()
        .map(|(size, app, process)| (size.to_string(), server.to_owned(), (**size, *app, process)))
        .collect();
    recorder.rounds(&cells, |(size, app, process), _| {
        process.take_log_lines()?;
        let (mut values, _) = context.closed_loop(process, &App::tree_requests(*size, CALLED), CONNECTIONS)?;
        let started = on_load_core(|| start(context, *size, app))?;
        values.insert("start_ms".into(), started.start.as_secs_f64() * 1000.0);
        Ok(values)
    })
}

fn start(context: &Context<'_>, size: usize, app: &App) -> Result<Process> {
    let port = free_port()?;
    let request = App::tree_requests(size, 1).remove(0);
    app.start(context.workspace, port, &arguments(port, "info", &[]), &request)
}

fn stripped_mib(context: &Context<'_>, app: &App) -> Result<f64> {
    let stripped = context.workspace.folder.join("data/stripped");
    output(Command::new("strip").arg("-o").arg(&stripped).arg(app.program(context.workspace)))?;
    let bytes = fs::metadata(&stripped).context("the stripped program")?.len();
    fs::remove_file(&stripped)?;
    Ok(bytes as f64 / 1024.0 / 1024.0)
}
