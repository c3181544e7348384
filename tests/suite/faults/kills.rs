//! A server that is killed repeatedly while clients create accounts, log in, change passwords and save state.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use method_sdk::{Database as Handle, sqlx};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::databases::{Database, Kind};
use crate::support::client::{Reply, Session};
use crate::support::{Api, Listening as _, short_or_long, wait_for_async};

/// Makes a call; `None` if the server was killed meanwhile.
async fn call(api: &Api, session: Option<&Session>, method: &str, parameters: Value) -> Option<Reply> {
    let body = json!({ "method": method, "parameters": parameters }).to_string();
    let reply = match session {
        Some(session) => api.try_send_as(session, "/", &body).await,
        None => api.try_send("/", &body, &[]).await,
    };
    reply.ok()
}

/// Creates accounts until the server is killed, and returns the acknowledged ones.
async fn create(api: Api, prefix: String, calls: Arc<AtomicUsize>) -> Vec<String> {
    let mut created = Vec::new();
    loop {
        let user_id = format!("{prefix} {}", created.len());
        let parameters = json!({ "user_id": user_id, "password": "secret" });
        let Some(reply) = call(&api, None, "account.create", parameters).await else { return created };
        assert_eq!(reply.code(), 0, "{reply:?}");
        created.push(user_id);
        calls.fetch_add(1, Ordering::SeqCst);
    }
}

/// Logs in until the server is killed, and returns the acknowledged sessions.
async fn log_in(api: Api, user_id: String, calls: Arc<AtomicUsize>) -> Vec<Session> {
    let mut sessions = Vec::new();
    let parameters = json!({ "user_id": user_id, "password": "secret" });
    loop {
        let Some(reply) = call(&api, None, "account.login", parameters.clone()).await else { return sessions };
        sessions.push(reply.session());
        calls.fetch_add(1, Ordering::SeqCst);
    }
}

/// The passwords that an account may have: the acknowledged one, and one whose change was not answered.
#[derive(Clone)]
struct Passwords {
    acknowledged: String,
    uncertain: Option<String>,
}

/// Changes a password until the server is killed.
async fn change(
    api: Api,
    user_id: String,
    mut passwords: Passwords,
    prefix: String,
    calls: Arc<AtomicUsize>,
) -> Passwords {
    for n in 0.. {
        let new = format!("{prefix} {n}");
        let update = json!({ "user_id": user_id, "password": passwords.acknowledged, "new_password": new });
        passwords.uncertain = Some(new.clone());
        let Some(reply) = call(&api, None, "account.update", update).await else { break };
        assert_eq!(reply.code(), 0, "{reply:?}");
        passwords = Passwords { acknowledged: new, uncertain: None };
        calls.fetch_add(1, Ordering::SeqCst);
    }
    passwords
}

/// Saves state until the server is killed, and returns the last acknowledged count.
async fn save(api: Api, session: Session, mut count: u64, calls: Arc<AtomicUsize>) -> u64 {
    while let Some(reply) = call(&api, Some(&session), "demo.counter", json!({})).await {
        let next = reply.result()["count"].as_u64().unwrap();
        assert!([count + 1, count + 2].contains(&next), "{next} after {count}");
        count = next;
        calls.fetch_add(1, Ordering::SeqCst);
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "kills many servers: run tests/run"]
async fn a_killed_server_loses_nothing_that_was_acknowledged_and_its_file_is_intact() {
    const SAVERS: usize = 8;
    let kills = short_or_long(20, 200);
    let shared = Database::new(Kind::Sqlite);
    let first = shared.server();
    let mut counters = Vec::new();
    for n in 0..SAVERS {
        counters.push((first.api().create(&format!("saver {n}")).await, 0));
    }
    // A kill during a login counts as a failure at its account, so each account sees few of them.
    for n in 0..10 {
        first.api().create(&format!("login {n}")).await;
        first.api().create(&format!("change {n}")).await;
    }
    drop(first);
    let mut passwords = vec![Passwords { acknowledged: "secret".to_owned(), uncertain: None }; 10];
    let mut acknowledged = [0; 4];
    for kill in 0..kills {
        let mut server = shared.process(&[]);
        let api = server.api();
        let calls: [Arc<AtomicUsize>; 4] = Default::default();
        let account = kill % 10;
        let user_id = format!("change {account}");
        // The uncertain password is either the account's or not.
        let Passwords { acknowledged: mut password, uncertain } = passwords[account].clone();
        let is_valid = async |password: &str| {
            api.call("account.login", json!({ "user_id": user_id, "password": password })).await.code() == 0
        };
        if !is_valid(&password).await {
            password = uncertain.expect("an acknowledged password is valid");
            assert!(is_valid(&password).await);
        }
        let current = Passwords { acknowledged: password, uncertain: None };
        let creations = tokio::spawn(create(api.clone(), format!("new {kill}"), calls[0].clone()));
        let logins = tokio::spawn(log_in(api.clone(), format!("login {account}"), calls[1].clone()));
        let changes = tokio::spawn(change(api.clone(), user_id, current, format!("p{kill}"), calls[2].clone()));
        let saves: Vec<_> = counters
            .iter()
            .map(|(session, count)| tokio::spawn(save(api.clone(), session.clone(), *count, calls[3].clone())))
            .collect();
        // A different moment each time.
        let count = |n: usize| calls[n].load(Ordering::SeqCst);
        wait_for_async(async || (0..3).all(|n| count(n) >= 1) && count(3) >= 50 + 7 * kill % 50).await;
        server.child.kill().unwrap();
        server.child.wait().unwrap();

        let (created, sessions) = (creations.await.unwrap(), logins.await.unwrap());
        passwords[account] = changes.await.unwrap();
        for (counter, saved) in counters.iter_mut().zip(saves) {
            counter.1 = saved.await.unwrap();
        }
        let Handle::Sqlite(pool) = shared.handle().await else { unreachable!() };
        let integrity: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&pool).await.unwrap();
        assert_eq!(integrity, "ok");
        let accounts: Vec<String> = sqlx::query_scalar("SELECT user_id FROM accounts").fetch_all(&pool).await.unwrap();
        assert!(created.iter().all(|user_id| accounts.contains(user_id)), "an acknowledged account is lost");
        let hashes: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT session_hash FROM sessions").fetch_all(&pool).await.unwrap();
        // An account keeps its newest 100 sessions.
        for session in &sessions[sessions.len().saturating_sub(50)..] {
            assert!(hashes.contains(&Sha256::digest(&session.id).to_vec()), "an acknowledged session is lost");
        }
        pool.close().await;
        for (total, calls) in acknowledged.iter_mut().zip(&calls) {
            *total += calls.load(Ordering::SeqCst);
        }
    }
    let server = shared.server();
    for (session, count) in counters {
        let next = server.api().call_as(&session, "demo.counter", json!({})).await.result()["count"].as_u64().unwrap();
        assert!([count + 1, count + 2].contains(&next), "{next} after {count}");
    }
    let [creations, logins, changes, saves] = acknowledged;
    println!(
        "{kills} kills: none of {creations} accounts, {logins} sessions, {changes} passwords and {saves} saves that were acknowledged is lost"
    );
}
