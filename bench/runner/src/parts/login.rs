//! Part `login`: `account.login`, whose time is that of argon2id.

use anyhow::Result;

use super::Context;
use crate::http::{self, PASSWORD};
use crate::results::Recorder;
use crate::server::{Server, Servers};

/// Few enough that the server admits all of them to the checks of passwords.
const CONNECTIONS: usize = 4;

pub fn run(context: &Context<'_>, recorder: &mut Recorder<'_>) -> Result<()> {
    let servers = Servers::build(context.workspace, &[Server::Simpleapi])?;
    let process = servers.start(Server::Simpleapi)?;
    let mut requests = Vec::new();
    for number in 0..CONNECTIONS {
        let session = http::create_account(process.address, &format!("user{number}"))?;
        let body = format!("{{\"user_id\":\"{}\",\"password\":\"{PASSWORD}\"}}", session.user_id);
        requests.push(http::post("/account/login", &body, None));
    }
    let cells = [("login".to_owned(), Server::Simpleapi.name().to_owned(), ())];
    recorder.rounds(&cells, |(), _| Ok(context.closed_loop(&process, &requests, CONNECTIONS)?.0))
}
