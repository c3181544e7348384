//! Several servers over one database, and one that dies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::support::{Server, directory, lock, server_binary};

#[tokio::test]
async fn a_session_of_one_server_is_the_other_servers_too() {
    let shared = directory();
    let one = Server::start_in(&shared, &server_binary(), &[]);
    let two = Server::start_in(&shared, &server_binary(), &[]);
    let alice = one.api().create("alice").await;
    assert_eq!(two.api().call_as(&alice, "demo.counter", json!({})).await.result(), json!({ "count": 1 }));
    assert_eq!(one.api().call_as(&alice, "demo.counter", json!({})).await.result(), json!({ "count": 2 }));
    assert_eq!(one.api().call_as(&alice, "account.logout", json!({})).await.code(), 0);
    assert_eq!(two.api().call_as(&alice, "demo.counter", json!({})).await.code(), 1007, "on its next request");
}

#[tokio::test]
async fn servers_that_start_at_once_make_one_schema() {
    let shared = directory();
    let servers: Vec<_> = (0..6)
        .map(|_| {
            let shared = shared.clone();
            std::thread::spawn(move || Server::start_in(&shared, &server_binary(), &[]))
        })
        .collect();
    let servers: Vec<_> = servers.into_iter().map(|server| server.join().unwrap()).collect();
    let alice = servers[0].api().create("alice").await;
    for server in &servers {
        assert_eq!(server.api().call_as(&alice, "demo.counter", json!({})).await.code(), 0);
    }
}

#[tokio::test]
async fn killed_in_the_middle_of_creations_no_acknowledged_account_is_lost() {
    let shared = directory();
    let mut server = Server::start_in(&shared, &server_binary(), &[]);
    let api = server.api();
    let killed = Arc::new(AtomicBool::new(false));
    let calls: Vec<_> = (0..200)
        .map(|n| {
            let (api, killed, user_id) = (api.clone(), killed.clone(), format!("user{n}"));
            tokio::spawn(async move {
                let body =
                    json!({ "method": "account.create", "parameters": { "user_id": user_id, "password": "secret" } });
                let reply = api.try_send("/", &body.to_string(), &[]).await.ok()?;
                assert!(!killed.load(Ordering::SeqCst) || !reply.body.is_empty());
                (reply.status == 200 && reply.code() == 0).then_some(user_id)
            })
        })
        .collect();
    // In the middle: some are acknowledged, and most are not.
    let log = server.log.clone();
    crate::support::wait_for_async(async || log.lock().unwrap().matches("\"call\"").count() >= 20).await;
    server.child.kill().unwrap();
    killed.store(true, Ordering::SeqCst);
    server.child.wait().unwrap();
    let mut acknowledged = Vec::new();
    for call in calls {
        acknowledged.extend(call.await.unwrap());
    }
    assert!((1..200).contains(&acknowledged.len()), "{} were acknowledged", acknowledged.len());

    let again = Server::start_in(&shared, &server_binary(), &[]);
    for user_id in acknowledged {
        assert_eq!(again.api().login(&user_id).await.code(), 0, "{user_id}");
    }
}

#[tokio::test]
async fn a_database_that_is_locked_is_1016_and_then_good_again() {
    let shared = directory();
    let server = Server::start_in(&shared, &server_binary(), &["--database_timeout=1s"]);
    let api = server.api();
    let alice = api.create("alice").await;
    let lock = lock(&shared).await;
    let reply = api.call("account.create", json!({ "user_id": "bob", "password": "secret" })).await;
    assert_eq!((reply.code(), reply.status, reply.header("retry-after")), (1016, 503, Some("1")));
    assert_eq!(reply.json()["error"]["value"], "Service unavailable", "no internals");
    assert_eq!(api.call_as(&alice, "demo.echo", json!(1)).await.code(), 0, "reading goes on");
    lock.rollback().await.unwrap();
    api.create("bob").await;
}

#[tokio::test]
async fn a_server_starts_while_another_holds_the_write_lock() {
    let shared = directory();
    drop(Server::start_in(&shared, &server_binary(), &[]));
    let lock = lock(&shared).await;
    let server = Server::start_in(&shared, &server_binary(), &["--database_timeout=1h"]);
    assert_eq!(server.api().get("/readyz").await.status, 200);
    lock.rollback().await.unwrap();
}
