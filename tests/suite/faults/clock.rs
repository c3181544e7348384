//! A server whose clock is an hour wrong, beside one whose clock is right.

use std::process::Command;
use std::sync::Arc;

use serde_json::json;

use crate::databases::{Database, Kind};
use crate::support::client::Reply;
use crate::support::{Listening as _, Process, server_binary};

/// Starts a server on the database whose clock differs by `offset`, such as `+1h`.
fn start_with_clock(database: &Arc<Database>, offset: &str) -> Process {
    // The program `faketime` would start the server as a child of its own, which would outlive the test.
    let find = Command::new("find").args(["/usr/lib", "-name", "libfaketime.so.1"]).output().unwrap();
    let library = String::from_utf8(find.stdout).unwrap();
    let mut command = Command::new(server_binary());
    command.env("LD_PRELOAD", library.trim()).env("FAKETIME", offset).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Process::start_command(&database.directory, command, &[])
}

#[tokio::test]
#[ignore = "needs faketime: run tests/run"]
async fn a_clock_that_is_an_hour_wrong_ends_no_session_and_keeps_out_no_login() {
    for offset in ["+1h", "-1h"] {
        let database = Database::new(Kind::Sqlite);
        let right = database.process(&[]);
        let wrong = start_with_clock(&database, offset);
        let created = right.api().call("account.create", json!({ "user_id": "alice", "password": "secret" })).await;
        let logged_in = wrong.api().login("alice").await;
        let expires = |reply: &Reply| reply.result()["expires"].as_i64().unwrap();
        let difference = expires(&logged_in) - expires(&created);
        assert!((difference.abs() - 3600).abs() < 60, "the clocks differ by {difference} s");
        for session in [created.session(), logged_in.session()] {
            for (count, server) in (1..).zip([&right, &wrong]) {
                let reply = server.api().call_as(&session, "demo.counter", json!({})).await;
                assert_eq!(reply.result(), json!({ "count": count }), "{offset}");
            }
        }
        // Nine failures count on both servers and do not keep the right password out.
        for n in 0..9 {
            let server = if n % 2 == 0 { &right } else { &wrong };
            let guess = json!({ "user_id": "alice", "password": "guess" });
            assert_eq!(server.api().call("account.login", guess).await.code(), 1005);
        }
        assert_eq!(wrong.api().login("alice").await.code(), 0);
        assert_eq!(right.api().login("alice").await.code(), 0);
    }
}
