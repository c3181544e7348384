//! Part `start`: the time from exec to the first answer.

use anyhow::Result;

use super::Context;
use crate::load::on_load_core;
use crate::results::{Recorder, Values};
use crate::server::{Server, Servers};

const SERVERS: [Server; 5] = [Server::Simpleapi, Server::Hyper, Server::AxumFeatures, Server::Fastify, Server::FastApi];

/// The starts of a round. A round has their median.
const STARTS: usize = 5;

/// The database of a start of this server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Database {
    Existing,
    New,
}

pub fn run(context: &Context<'_>, recorder: &mut Recorder<'_>) -> Result<()> {
    let servers = Servers::build(context.workspace, &SERVERS)?;
    servers.notes.iter().for_each(|note| recorder.note(note.as_str()));
    let mut cells =
        vec![("start".to_owned(), "SimpleAPIServer, new database".to_owned(), (Server::Simpleapi, Database::New))];
    for server in servers.available(&SERVERS) {
        cells.push(("start".to_owned(), server.name().to_owned(), (server, Database::Existing)));
    }
    recorder.rounds(&cells, |(server, database), _| {
        let folder = context.workspace.data_folder("start")?;
        let mut starts = Vec::new();
        for number in 0..=STARTS {
            let file = if *database == Database::New { format!("{number}.db") } else { "bench.db".to_owned() };
            let option = format!("--sqlite_path={}", folder.join(file).display());
            let start = on_load_core(|| Ok(servers.start_with(*server, &[option])?.start))?;
            starts.push(start.as_secs_f64() * 1000.0);
        }
        // The first start creates the database and reads the program from the disk.
        starts.remove(0);
        let median = crate::results::median(starts).unwrap_or(f64::NAN);
        Ok(Values::from([("start_ms".to_owned(), median)]))
    })
}
