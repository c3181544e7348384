//! Several servers on one database, and one that is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

#[cfg(feature = "sqlite")]
use crate::databases::write_lock;
use crate::databases::{Database, Kind, over_every_store};
use crate::support::client::Session;
use crate::support::{Api, Listening as _, wait_for_async};

over_every_store! {
    a_session_of_one_server_is_valid_on_another
    servers_that_start_concurrently_create_one_schema
    a_server_killed_during_account_creations_loses_no_acknowledged_account
    visits_are_counted_in_a_table_of_the_method
    ; atomic
    concurrent_visits_of_two_servers_are_all_counted
}

async fn a_session_of_one_server_is_valid_on_another(kind: Kind) {
    let shared = Database::new(kind);
    let one = shared.server();
    let two = shared.server();
    let alice = one.api().create("alice").await;
    assert_eq!(two.api().call_as(&alice, "demo.counter", json!({})).await.result(), json!({ "count": 1 }));
    assert_eq!(one.api().call_as(&alice, "demo.counter", json!({})).await.result(), json!({ "count": 2 }));
    assert_eq!(one.api().call_as(&alice, "account.logout", json!({})).await.code(), 0);
    assert_eq!(two.api().call_as(&alice, "demo.counter", json!({})).await.code(), 1007, "on its next request");
}

async fn servers_that_start_concurrently_create_one_schema(kind: Kind) {
    let shared = Database::new(kind);
    let servers: Vec<_> = (0..6)
        .map(|_| {
            let shared = shared.clone();
            std::thread::spawn(move || shared.server())
        })
        .collect();
    let servers: Vec<_> = servers.into_iter().map(|server| server.join().unwrap()).collect();
    let alice = servers[0].api().create("alice").await;
    for server in &servers {
        assert_eq!(server.api().call_as(&alice, "demo.counter", json!({})).await.code(), 0);
    }
}

async fn visits_are_counted_in_a_table_of_the_method(kind: Kind) {
    let shared = Database::new(kind);
    let servers = [shared.server(), shared.server()];
    for (visits, server) in (1..=4).zip(servers.iter().cycle()) {
        assert_eq!(server.api().call("demo.visits", json!({})).await.result(), json!({ "visits": visits }));
    }
}

async fn concurrent_visits_of_two_servers_are_all_counted(kind: Kind) {
    let shared = Database::new(kind);
    let servers = [shared.server(), shared.server()];
    let calls: Vec<_> = (0..60)
        .map(|n| {
            let api = servers[n % 2].api();
            tokio::spawn(async move { api.call("demo.visits", json!({})).await.result()["visits"].as_u64().unwrap() })
        })
        .collect();
    let mut visits = Vec::new();
    for call in calls {
        visits.push(call.await.unwrap());
    }
    visits.sort_unstable();
    // The in-memory server of MongoDB's protocol returns a document as it is a moment after the update.
    if kind.name() != "mongodb" {
        assert_eq!(visits, (1..=60).collect::<Vec<_>>());
    }
    assert_eq!(servers[0].api().call("demo.visits", json!({})).await.result(), json!({ "visits": 61 }));
}

async fn a_server_killed_during_account_creations_loses_no_acknowledged_account(kind: Kind) {
    let shared = Database::new(kind);
    let mut server = shared.process(&[]);
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
    // When some creations are acknowledged, and most are not.
    wait_for_async(async || server.log().matches("\"call\"").count() >= 20).await;
    server.child.kill().unwrap();
    killed.store(true, Ordering::SeqCst);
    server.child.wait().unwrap();
    let mut acknowledged = Vec::new();
    for call in calls {
        acknowledged.extend(call.await.unwrap());
    }
    assert!((1..200).contains(&acknowledged.len()), "{} were acknowledged", acknowledged.len());

    let second = shared.server();
    for user_id in acknowledged {
        assert_eq!(second.api().login(&user_id).await.code(), 0, "{user_id}");
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn calls_on_a_locked_database_fail_with_1016_until_it_is_unlocked() {
    let shared = Database::new(Kind::Sqlite);
    let server = shared.server_with(|config| config.database_timeout = Duration::from_secs(1));
    let api = server.api();
    let alice = api.create("alice").await;
    let lock = write_lock(&shared.directory).await;
    let reply = api.call("account.create", json!({ "user_id": "bob", "password": "secret" })).await;
    assert_eq!((reply.code(), reply.status, reply.header("retry-after")), (1016, 503, Some("1")));
    assert_eq!(reply.json()["error"]["value"], "Service unavailable", "no internals");
    assert_eq!(api.call_as(&alice, "demo.echo", json!(1)).await.code(), 0, "reads still work");
    lock.rollback().await.unwrap();
    api.create("bob").await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_server_starts_while_another_holds_the_write_lock() {
    let shared = Database::new(Kind::Sqlite);
    drop(shared.server());
    let lock = write_lock(&shared.directory).await;
    let server = shared.server_with(|config| config.database_timeout = Duration::from_secs(3600));
    assert_eq!(server.api().get("/readyz").await.status, 200);
    lock.rollback().await.unwrap();
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_another_process_ends_is_refused_on_the_next_request_thousands_of_times() {
    use method_sdk::sqlx;
    use sha2::{Digest, Sha256};
    const SESSIONS: usize = 2000;
    const CLIENTS: usize = 4;
    let shared = Database::new(Kind::Sqlite);
    let (one, two) = (shared.server(), shared.process(&[]));
    one.api().create("alice").await;
    let handle = shared.handle().await;
    let mut transaction = handle.sqlite().unwrap().begin().await.unwrap();
    let sessions: Vec<_> =
        (0..SESSIONS).map(|n| Session { id: format!("{n:064x}"), user: "alice".to_owned() }).collect();
    for session in &sessions {
        let insert = "INSERT INTO sessions VALUES (?, 'alice', 0, ?, 1, '{}', 0)";
        let insert = sqlx::query(insert).bind(Sha256::digest(&session.id).to_vec()).bind(i64::MAX);
        insert.execute(&mut *transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let clients: Vec<_> = sessions
        .chunks(SESSIONS / CLIENTS)
        .map(|sessions| {
            let (one, two, sessions) = (one.api(), two.api(), sessions.to_owned());
            tokio::spawn(async move {
                for (n, session) in sessions.iter().enumerate() {
                    let (ends, checks) = if n % 2 == 0 { (&one, &two) } else { (&two, &one) };
                    assert_eq!(checks.call_as(session, "demo.echo", json!(1)).await.result(), json!(1));
                    assert_eq!(ends.call_as(session, "account.logout", json!({})).await.code(), 0);
                    assert_eq!(checks.call_as(session, "demo.echo", json!(1)).await.code(), 1007);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn writes_of_two_servers_and_of_methods_on_one_file_all_succeed() {
    const SESSIONS: usize = 16;
    const VISITS: u64 = 30;
    let shared = Database::new(Kind::Sqlite);
    let servers = [shared.process(&[]), shared.process(&[])];
    let stop = Arc::new(AtomicBool::new(false));
    let mut counters = Vec::new();
    for n in 0..SESSIONS {
        let api = servers[n % 2].api();
        let session = api.create(&format!("user{n}")).await;
        counters.push(tokio::spawn(count_until(api, session, stop.clone())));
    }
    // A write through sqlx, in competition with the counters of both servers.
    let longest = async |api: Api| {
        let mut longest = Duration::ZERO;
        for _ in 0..VISITS {
            let started = std::time::Instant::now();
            assert_eq!(api.call("demo.visits", json!({})).await.code(), 0);
            longest = longest.max(started.elapsed());
        }
        longest
    };
    let (one, two) = tokio::join!(longest(servers[0].api()), longest(servers[1].api()));
    stop.store(true, Ordering::SeqCst);
    let mut counted = Vec::new();
    for counter in counters {
        counted.push(counter.await.unwrap());
    }
    println!("saves: {counted:?}; longest write of a method: {:?}", one.max(two));
    assert!(counted.iter().all(|count| *count > 0), "no session is starved: {counted:?}");
    let visits = servers[0].api().call("demo.visits", json!({})).await.result();
    assert_eq!(visits, json!({ "visits": 2 * VISITS + 1 }));
}

/// Calls `demo.counter` until `stop`, checks that every call is counted once, and returns the last count.
async fn count_until(api: Api, session: Session, stop: Arc<AtomicBool>) -> u64 {
    let mut count = 0;
    while !stop.load(Ordering::SeqCst) {
        count += 1;
        assert_eq!(api.call_as(&session, "demo.counter", json!({})).await.result(), json!({ "count": count }));
    }
    count
}
