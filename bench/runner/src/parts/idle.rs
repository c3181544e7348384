//! Part `idle`: the memory of a server without load, and with many connections that each have made one call.

use std::net::TcpStream;

use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Context;
use crate::http;
use crate::process::resident_kib;
use crate::results::{Recorder, Values};
use crate::server::{Server, Servers, hello_request};

/// The descriptors that a process needs for anything but the connections.
const SPARE_DESCRIPTORS: usize = 200;

pub fn run(context: &Context<'_>, recorder: &mut Recorder<'_>) -> Result<()> {
    let connections = context.settings.idle_connections.min(raise_descriptor_limit()?);
    if connections < context.settings.idle_connections {
        recorder.note(format!("{connections} idle connections, because of the limit of open files (`ulimit -Hn`)"));
    }
    let servers = Servers::build(context.workspace, &Server::ALL)?;
    servers.notes.iter().for_each(|note| recorder.note(note.as_str()));
    let cells: Vec<(String, String, Server)> = servers
        .available(&Server::ALL)
        .into_iter()
        .filter(|server| !matches!(server, Server::SimpleapiLogOff | Server::AxumFeaturesLogOff))
        .map(|server| ("idle".to_owned(), server.name().to_owned(), server))
        .collect();
    recorder.rounds(&cells, |server, _| {
        let process = servers.start(*server)?;
        let before = resident_kib(process.pid())?;
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            context.workspace.interrupt.check()?;
            let mut stream = TcpStream::connect(process.address).context("cannot open another connection")?;
            http::exchange_on(&mut stream, &hello_request())?;
            open.push(stream);
        }
        let after = resident_kib(process.pid())?;
        let mut values = Values::new();
        values.insert("idle_kib".into(), before);
        values.insert("connected_kib".into(), after);
        values.insert("connections".into(), connections as f64);
        values.insert("per_connection_kib".into(), (after - before) / connections as f64);
        Ok(values)
    })
}

/// Raises the limit of open files, which the servers inherit, and returns how many connections it allows.
fn raise_descriptor_limit() -> Result<usize> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let limit = maximum.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    Ok(limit.saturating_sub(SPARE_DESCRIPTORS))
}
