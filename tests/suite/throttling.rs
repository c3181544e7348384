//! Failed logins: how many a client and an account have, and what they do not keep others from.

use serde_json::json;
use simpleapi_server::Config;

use crate::databases::{Database, Kind, over_every_store};
use crate::server::Server;
use crate::support::client::Reply;
use crate::support::{Api, Listening};

over_every_store! {
    ; atomic
    after_ten_failures_a_client_waits_and_another_can_log_in
    unknown_users_and_updates_count_the_same
    a_success_clears_the_failures_of_its_client
    the_failures_of_all_clients_at_one_account_have_a_limit_of_their_own
    failures_count_on_every_server
}

/// Takes the client's address from the proxy, which is the test.
fn behind_proxy(config: &mut Config) {
    config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
}

async fn call(api: &Api, client: &str, method: &str, parameters: serde_json::Value) -> Reply {
    let body = json!({ "method": method, "parameters": parameters }).to_string();
    api.send("/", &body, &[("x-forwarded-for", client)]).await
}

async fn login(api: &Api, client: &str, user_id: &str, password: &str) -> Reply {
    call(api, client, "account.login", json!({ "user_id": user_id, "password": password })).await
}

#[track_caller]
fn assert_throttled(reply: &Reply) {
    let wait: u64 = reply.header("retry-after").unwrap_or_default().parse().unwrap_or_default();
    assert_eq!((reply.status, reply.code()), (429, 1013));
    assert!((20..=30).contains(&wait), "{wait}");
}

async fn after_ten_failures_a_client_waits_and_another_can_log_in(kind: Kind) {
    let server = Database::new(kind).server_with(behind_proxy);
    let api = server.api();
    api.create("alice").await;
    api.create("bob").await;
    for _ in 0..10 {
        assert_eq!(login(&api, "192.0.2.1", "alice", "wrong").await.code(), 1005);
    }
    assert_throttled(&login(&api, "192.0.2.1", "alice", "secret").await);
    assert_throttled(&login(&api, "192.0.2.1", "alice", "wrong").await);
    assert_eq!(login(&api, "192.0.2.2", "alice", "secret").await.code(), 0, "another client");
    assert_eq!(login(&api, "192.0.2.1", "bob", "secret").await.code(), 0, "another account");
    for n in 1..=10 {
        assert_eq!(login(&api, &format!("2001:db8::{n}"), "alice", "wrong").await.code(), 1005);
    }
    assert_throttled(&login(&api, "2001:db8::ffff", "alice", "secret").await);
    assert_eq!(login(&api, "2001:db8:0:1::1", "alice", "secret").await.code(), 0, "another IPv6 network");
}

async fn unknown_users_and_updates_count_the_same(kind: Kind) {
    let server = Database::new(kind).server_with(behind_proxy);
    let api = server.api();
    api.create("alice").await;
    let update = json!({ "user_id": "alice", "password": "wrong", "new_password": "new" });
    for n in 0..10 {
        let reply = if n % 2 == 0 {
            login(&api, "192.0.2.1", "alice", "wrong").await
        } else {
            call(&api, "192.0.2.1", "account.update", update.clone()).await
        };
        assert_eq!(reply.code(), 1005);
        let unknown = login(&api, "192.0.2.1", "stranger", "wrong").await;
        assert_eq!((unknown.status, &unknown.body), (reply.status, &reply.body));
    }
    let taken = call(&api, "192.0.2.1", "account.create", json!({ "user_id": "alice", "password": "x" })).await;
    assert_eq!(taken.code(), 1006, "no failure, and not throttled");
    assert_throttled(&call(&api, "192.0.2.1", "account.update", update).await);
    let (known, unknown_user) =
        (login(&api, "192.0.2.1", "alice", "x").await, login(&api, "192.0.2.1", "stranger", "x").await);
    assert_throttled(&known);
    assert_throttled(&unknown_user);
    assert_eq!(known.body, unknown_user.body);
}

async fn a_success_clears_the_failures_of_its_client(kind: Kind) {
    let server = Database::new(kind).server_with(behind_proxy);
    let api = server.api();
    api.create("alice").await;
    for _ in 0..2 {
        for _ in 0..9 {
            assert_eq!(login(&api, "192.0.2.1", "alice", "wrong").await.code(), 1005);
        }
        assert_eq!(login(&api, "192.0.2.1", "alice", "secret").await.code(), 0);
    }
}

async fn the_failures_of_all_clients_at_one_account_have_a_limit_of_their_own(kind: Kind) {
    let server = Database::new(kind).server_with(behind_proxy);
    let api = server.api();
    api.create("alice").await;
    for n in 0..100 {
        assert_eq!(login(&api, &format!("192.0.2.{n}"), "alice", "wrong").await.code(), 1005, "{n}");
    }
    assert_throttled(&login(&api, "198.51.100.1", "alice", "secret").await);
    api.create("bob").await;
    assert_eq!(login(&api, "198.51.100.1", "bob", "secret").await.code(), 0);
}

async fn failures_count_on_every_server(kind: Kind) {
    let database = Database::new(kind);
    let (one, two) = (database.server_with(behind_proxy), database.server_with(behind_proxy));
    one.api().create("alice").await;
    for n in 0..10 {
        let api = if n % 2 == 0 { one.api() } else { two.api() };
        assert_eq!(login(&api, "192.0.2.1", "alice", "wrong").await.code(), 1005);
    }
    for server in [one, two] {
        assert_throttled(&login(&server.api(), "192.0.2.1", "alice", "secret").await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_guesses_at_the_same_time_no_more_than_ten_are_verified() {
    let server = Server::start_with(behind_proxy);
    let api = server.api();
    let guesses: Vec<_> = (0..100)
        .map(|n| {
            let api = api.clone();
            tokio::spawn(async move { login(&api, "192.0.2.1", "alice", &format!("guess{n}")).await.code() })
        })
        .collect();
    let mut codes = Vec::new();
    for guess in guesses {
        codes.push(guess.await.unwrap());
    }
    let count = |code| codes.iter().filter(|found| **found == code).count();
    assert_eq!((count(1005), count(1013)), (10, 90), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_logins_of_one_client_does_not_keep_others_from_logging_in() {
    let server = Server::start_with(behind_proxy);
    let api = server.api();
    api.create("alice").await;
    let flood: Vec<_> = (0..400)
        .map(|n| {
            let api = api.clone();
            let client = format!("192.0.2.{}", n % 2);
            tokio::spawn(async move { login(&api, &client, &format!("user{n}"), "wrong").await.code() })
        })
        .collect();
    for n in 0..20 {
        let reply = login(&api, &format!("198.51.100.{n}"), "alice", "secret").await;
        assert_eq!(reply.code(), 0, "an honest login while {} logins wait", flood.len());
    }
    let mut refused = 0;
    for login in flood {
        let code = login.await.unwrap();
        assert!(code == 1005 || code == 1016, "{code}");
        refused += usize::from(code == 1016);
    }
    println!("{refused} of 400 logins of two clients were refused");
}

#[tokio::test]
async fn a_failed_login_is_logged_with_the_user_id_that_was_tried() {
    let server = Database::new(Kind::ANY).process(&[]);
    let odd = format!("al\u{1b}[31m\n{}", "x".repeat(1000));
    for user_id in ["alice", &odd] {
        let credentials = json!({ "user_id": user_id, "password": "very-secret" });
        assert_eq!(server.api().call("account.login", credentials).await.code(), 1005);
    }
    let calls = server.calls(2);
    assert_eq!(calls[0]["cause"], r#"failed login as "alice""#);
    let cause = calls[1]["cause"].as_str().unwrap();
    assert!(cause.starts_with(r#"failed login as "al\u{1b}[31m\nxxx"#) && cause.len() < 300, "{cause}");
    assert!(!server.log().contains("very-secret"));
}

#[tokio::test]
async fn an_imported_account_is_not_locked_out_by_a_password_that_is_no_longer_accepted() {
    use sha2::{Digest, Sha256};
    for password in [String::new(), "x".repeat(2000)] {
        let database = Database::new(Kind::ANY);
        let server = database.server();
        server.api().create("bob").await; // creates the tables
        let hash = Sha256::new().chain_update("alicesimple_api").chain_update(&password).finalize();
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        database.add_account("alice", &hash).await;
        for _ in 0..3 {
            assert_eq!(login(&server.api(), "192.0.2.1", "alice", &password).await.code(), 0, "{}", password.len());
        }
        assert_eq!(database.hash_of_alice().await, hash, "the old hash is kept");
        assert_eq!(login(&server.api(), "192.0.2.1", "alice", "wrong").await.code(), 1005);
    }
}
