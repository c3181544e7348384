//! Accounts, sessions and signatures.

use std::time::Duration;

use serde_json::json;

use crate::databases::{Database, Kind, over_every_store};
use crate::support::client::Session;
use crate::support::{Listening as _, sign, wait_for_async};

over_every_store! {
    an_account_is_created_used_changed_and_logged_out
    a_login_ends_the_session_of_its_request_if_it_is_the_same_users
    sessions_and_signatures_are_checked_before_anything_else
    an_expired_session_is_refused_with_1007
    user_ids_compare_byte_by_byte_and_have_their_limits
    passwords_have_their_limits_and_are_never_cut
    unknown_user_and_wrong_password_are_the_same_bytes
    of_two_hundred_concurrent_creations_of_fifty_accounts_fifty_succeed
    an_outdated_password_hash_is_replaced_at_the_next_successful_login
    a_password_is_the_same_in_composed_and_decomposed_characters
    expired_sessions_are_deleted_in_the_background
    a_login_beyond_the_limit_of_sessions_ends_the_oldest
    logins_at_the_same_time_leave_no_more_sessions_than_the_limit
    ; atomic
    fifty_concurrent_increments_in_one_session_are_all_counted
}

fn unix_seconds() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64
}

async fn a_login_beyond_the_limit_of_sessions_ends_the_oldest(kind: Kind) {
    let server = Database::new(kind).server_with(|config| config.max_sessions_per_account = 3);
    let api = server.api();
    let mut sessions = vec![api.create("alice").await];
    let bob = api.create("bob").await;
    for _ in 0..4 {
        // The times of sessions are in seconds.
        let second = unix_seconds();
        wait_for_async(async || unix_seconds() > second).await;
        sessions.push(api.login("alice").await.session());
        let mut codes = Vec::new();
        for session in &sessions {
            codes.push(api.call_as(session, "demo.echo", json!(1)).await.code());
        }
        let ended = sessions.len().saturating_sub(3);
        assert_eq!(codes, [vec![1007; ended], vec![0; sessions.len() - ended]].concat());
    }
    assert_eq!(api.call_as(&bob, "demo.echo", json!(1)).await.code(), 0, "another account's");
    let credentials = json!({ "user_id": "alice", "password": "secret" });
    let renewed = api.call_as(&sessions[4], "account.login", credentials).await.session();
    for session in [&sessions[2], &sessions[3], &renewed] {
        assert_eq!(api.call_as(session, "demo.echo", json!(1)).await.code(), 0, "the renewed session is not one more");
    }
}

async fn logins_at_the_same_time_leave_no_more_sessions_than_the_limit(kind: Kind) {
    let server = Database::new(kind).server_with(|config| config.max_sessions_per_account = 3);
    let api = server.api();
    api.create("alice").await;
    // No more than ten logins of one client at one account are verified at the same time.
    let logins: Vec<_> = (0..8)
        .map(|_| {
            let api = api.clone();
            tokio::spawn(async move { api.login("alice").await.session() })
        })
        .collect();
    let mut valid = 0;
    let mut sessions = Vec::new();
    for login in logins {
        sessions.push(login.await.unwrap());
    }
    for session in &sessions {
        valid += usize::from(api.call_as(session, "demo.echo", json!(1)).await.code() == 0);
    }
    assert!((1..=3).contains(&valid), "{valid} sessions are valid");
    let last = api.login("alice").await.session();
    assert_eq!(api.call_as(&last, "demo.echo", json!(1)).await.code(), 0);
}

async fn an_account_is_created_used_changed_and_logged_out(kind: Kind) {
    let server = Database::new(kind).server();
    let api = server.api();
    let created = api.call("account.create", json!({ "user_id": "alice", "password": "secret" })).await;
    assert!(created.is_signed_by("alice"));
    let expires = created.result()["expires"].as_i64().unwrap();
    assert!((unix_seconds() + 86_400 - expires).abs() < 60, "24 hours");
    let first = created.session();
    assert!(first.id.len() >= 43, "32 random bytes");

    assert_eq!(api.call_as(&first, "demo.counter", json!({})).await.result(), json!({ "count": 1 }));
    assert_eq!(api.send_as(&first, "/demo/counter", "").await.result(), json!({ "count": 2 }));

    let second = api.login("alice").await.session();
    assert_eq!(api.call_as(&second, "demo.counter", json!({})).await.result(), json!({ "count": 1 }), "its own state");
    let parameters = json!({ "user_id": "alice", "password": "secret", "new_password": "s3cret" });
    let updated = api.call("account.update", parameters).await;
    assert!(updated.is_signed_by("alice"));
    assert_eq!(updated.result()["updated_fields"], json!(["password"]));
    for ended in [&first, &second] {
        assert_eq!(api.call_as(ended, "demo.counter", json!({})).await.code(), 1007);
    }
    assert_eq!(api.login("alice").await.code(), 1005);
    let third = updated.session();
    assert_eq!(api.call_as(&third, "demo.counter", json!({})).await.result(), json!({ "count": 1 }));

    let logout = api.call_as(&third, "account.logout", json!({})).await;
    assert_eq!(logout.result(), json!({ "logged_out": true }));
    assert!(logout.is_signed_by("alice"), "signed by the session that it ended");
    assert_eq!(api.call_as(&third, "demo.counter", json!({})).await.code(), 1007);
    assert_eq!(api.call("account.logout", json!({})).await.code(), 1004);
}

async fn a_login_ends_the_session_of_its_request_if_it_is_the_same_users(kind: Kind) {
    let server = Database::new(kind).server();
    let api = server.api();
    let (alice, bob) = (api.create("alice").await, api.create("bob").await);
    let credentials = json!({ "user_id": "alice", "password": "secret" });
    let renewed = api.call_as(&alice, "account.login", credentials.clone()).await;
    assert!(renewed.is_signed_by("alice"));
    assert_eq!(api.call_as(&alice, "demo.counter", json!({})).await.code(), 1007);
    let other = api.call_as(&bob, "account.login", credentials).await;
    assert!(other.is_signed_by("alice"), "the newest session is current");
    assert_eq!(api.call_as(&bob, "demo.counter", json!({})).await.code(), 0, "bob's session stays");
}

async fn sessions_and_signatures_are_checked_before_anything_else(kind: Kind) {
    let server = Database::new(kind).server();
    let api = server.api();
    let alice = api.create("alice").await;
    let body = r#"{"method":"demo.echo","parameters":1}"#;
    let good = sign("alice", body.as_bytes());
    let upper = good.to_uppercase();
    let id = alice.id.as_str();
    let unknown = "0".repeat(64);
    for (headers, code) in [
        (vec![("x-session-id", id), ("x-hmac", good.as_str())], 0),
        (vec![("x-hmac", "00")], 0),
        (vec![("x-session-id", ""), ("x-hmac", &good)], 1007),
        (vec![("x-session-id", "bad"), ("x-hmac", &good)], 1007),
        (vec![("x-session-id", &unknown), ("x-hmac", &good)], 1007),
        (vec![("x-session-id", id), ("x-session-id", id), ("x-hmac", &good)], 1007),
        (vec![("x-session-id", id)], 1008),
        (vec![("x-session-id", id), ("x-hmac", "")], 1008),
        (vec![("x-session-id", id), ("x-hmac", &good[..38])], 1008),
        (vec![("x-session-id", id), ("x-hmac", &upper)], 1008),
        (vec![("x-session-id", id), ("x-hmac", &good), ("x-hmac", &good)], 1008),
    ] {
        let reply = api.send("/", body, &headers).await;
        assert_eq!(reply.code(), code, "{headers:?}");
        assert_eq!(reply.header("x-hmac").is_some(), code == 0 && headers.len() == 2, "{headers:?}");
        if code != 0 {
            let malformed = api.send("/", "not json", &headers).await;
            assert_eq!(malformed.code(), code, "before the body is parsed: {headers:?}");
            let at_url = api.send("/no/such", "not json", &headers).await;
            assert_eq!((at_url.code(), at_url.status), (code, 401), "{headers:?}");
        }
    }
    for body in ["not json", "[]", r#"{"method":"demo.echo"}"#, r#"{"method":"no.such","parameters":1}"#] {
        let reply = api.send_as(&alice, "/", body).await;
        assert!(reply.code() != 0 && reply.is_signed_by("alice"), "an error response in a session is signed: {body}");
    }
}

async fn an_expired_session_is_refused_with_1007(kind: Kind) {
    let server = Database::new(kind).server_with(|config| config.session_ttl = Duration::from_secs(2));
    let api = server.api();
    let alice = api.create("alice").await;
    assert_eq!(api.call_as(&alice, "demo.counter", json!({})).await.code(), 0);
    wait_for_async(async || api.call_as(&alice, "demo.counter", json!({})).await.code() == 1007).await;
}

async fn user_ids_compare_byte_by_byte_and_have_their_limits(kind: Kind) {
    let server = Database::new(kind).server();
    let api = server.api();
    let longest = "x".repeat(255);
    for user_id in
        ["alice", "Alice", "alice ", " alice", "zoë", "zoe\u{308}", "' OR 1=1 --", "{\"$gt\":\"\"}", &longest]
    {
        let session = api.create(user_id).await;
        assert_eq!(session.user, user_id);
        assert_eq!(api.call_as(&session, "demo.counter", json!({})).await.result(), json!({ "count": 1 }), "{user_id}");
        assert_eq!(api.login(user_id).await.code(), 0);
    }
    let too_long = "x".repeat(256);
    for user_id in ["", "a\nb", "a\u{0}b", "a\u{7f}", "\u{85}", &too_long] {
        let parameters = json!({ "user_id": user_id, "password": "secret" });
        assert_eq!(api.call("account.create", parameters.clone()).await.code(), 1010, "{user_id:?}");
        assert_eq!(api.call("account.login", parameters.clone()).await.code(), 1005, "{user_id:?}");
        assert_eq!(api.call("account.update", parameters).await.code(), 1005, "{user_id:?}");
    }
    for user_id in [json!({ "$gt": "" }), json!(7), json!(null), json!(["alice"])] {
        let parameters = json!({ "user_id": user_id, "password": "secret" });
        for method in ["account.create", "account.login", "account.update"] {
            assert_eq!(api.call(method, parameters.clone()).await.code(), 1019, "{user_id}");
        }
    }
}

async fn passwords_have_their_limits_and_are_never_cut(kind: Kind) {
    let server = Database::new(kind).server();
    let api = server.api();
    let (longest, too_long) = ("p".repeat(1024), "p".repeat(1025));
    for (user_id, password, code) in [("a", "", 1019), ("b", &too_long, 1019), ("c", &longest, 0)] {
        let reply = api.call("account.create", json!({ "user_id": user_id, "password": password })).await;
        assert_eq!(reply.code(), code);
        if code == 1019 {
            assert_eq!(reply.json()["error"]["details"][0]["path"], "/password");
        }
    }
    for (password, code) in [(longest.as_str(), 0), (too_long.as_str(), 1005), (&longest[1..], 1005), ("", 1005)] {
        assert_eq!(api.call("account.login", json!({ "user_id": "c", "password": password })).await.code(), code);
    }
    for new_password in ["", too_long.as_str()] {
        let parameters = json!({ "user_id": "c", "password": longest, "new_password": new_password });
        let reply = api.call("account.update", parameters).await;
        assert_eq!((reply.code(), &reply.json()["error"]["details"][0]["path"]), (1019, &json!("/new_password")));
    }
}

async fn unknown_user_and_wrong_password_are_the_same_bytes(kind: Kind) {
    let server = Database::new(kind).server();
    let api = server.api();
    api.create("alice").await;
    for method in ["account.login", "account.update"] {
        let wrong = api.call(method, json!({ "user_id": "alice", "password": "wrong" })).await;
        let unknown = api.call(method, json!({ "user_id": "unknown", "password": "wrong" })).await;
        assert_eq!(wrong.body, unknown.body);
        assert_eq!(wrong.json()["error"], json!({ "value": "Invalid user ID or password", "code": 1005 }));
    }
}

async fn of_two_hundred_concurrent_creations_of_fifty_accounts_fifty_succeed(kind: Kind) {
    let server = Database::new(kind).server();
    let api = server.api();
    let calls = (0..200).map(|n| {
        let (api, user_id) = (api.clone(), format!("user{}", n % 50));
        tokio::spawn(async move {
            api.call("account.create", json!({ "user_id": user_id, "password": "secret" })).await.code()
        })
    });
    let mut codes = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        codes.push(call.await.unwrap());
    }
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 50);
    assert_eq!(codes.iter().filter(|code| **code == 1006).count(), 150);
}

async fn fifty_concurrent_increments_in_one_session_are_all_counted(kind: Kind) {
    let server = Database::new(kind).server();
    let api = server.api();
    let alice = api.create("alice").await;
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (api, alice): (_, Session) = (api.clone(), alice.clone());
            tokio::spawn(async move {
                api.call_as(&alice, "demo.counter", json!({})).await.result()["count"].as_u64().unwrap()
            })
        })
        .collect();
    let mut counts = Vec::new();
    for call in calls {
        counts.push(call.await.unwrap());
    }
    counts.sort_unstable();
    assert_eq!(counts, (1..=50).collect::<Vec<_>>());
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn neither_the_database_file_nor_the_log_contains_a_session_id_or_a_password() {
    let server = Database::new(Kind::Sqlite).process(&[]);
    let api = server.api();
    let parameters = json!({ "user_id": "alice", "password": "very-secret-password" });
    let alice = api.call("account.create", parameters).await.session();
    api.call_as(&alice, "demo.counter", json!({})).await;
    let mut files = 0;
    for file in std::fs::read_dir(server.directory.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(&alice.id) && !text.contains("very-secret-password"));
        files += usize::from(text.contains("argon2id"));
    }
    assert!(files > 0, "the accounts are in one of the files");
    server.calls(2);
    let log = server.log();
    assert!(!log.contains(&alice.id) && !log.contains("very-secret-password"), "{log}");
}

async fn an_outdated_password_hash_is_replaced_at_the_next_successful_login(kind: Kind) {
    // The hash of `password` with the lowest cost of argon2id, and the Python version's hash of `secret`.
    let weak = "$argon2id$v=19$m=8,t=1,p=1$OQTsk0GuhAE2xAFivsoOMw$2KWHSOW+KShvBoARW6/WCq+F7r5v3B1sme5dnR2M8Ys";
    let legacy = "f0a2b67345dd9b4f854ce4e84821b023c17fff2cce1bc9e7cfe1cc05c4f1e133";
    for (hash, password) in [(weak, "password"), (legacy, "secret")] {
        let database = Database::new(kind);
        let server = database.server();
        let login = async |password: &str| {
            server.api().call("account.login", json!({ "user_id": "alice", "password": password })).await.code()
        };
        assert_eq!(login(password).await, 1005, "no such account yet");
        database.add_account("alice", hash).await;
        assert_eq!(login("wrong").await, 1005);
        assert_eq!(login("").await, 1005);
        assert_eq!(database.hash_of_alice().await, hash);
        assert_eq!(login(password).await, 0);
        let renewed = database.hash_of_alice().await;
        assert!(renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{renewed}");
        assert_eq!(login(password).await, 0);
        assert_eq!(login(hash).await, 1005, "the hash itself is not accepted as a password");
    }
}

async fn a_password_is_the_same_in_composed_and_decomposed_characters(kind: Kind) {
    let database = Database::new(kind);
    let server = database.server();
    let call = async |method: &str, user_id: &str, password: &str| {
        server.api().call(method, json!({ "user_id": user_id, "password": password })).await.code()
    };
    let (composed, decomposed) = ("l\u{e9}a \u{1e9b}\u{323}", "le\u{301}a\u{a0}\u{17f}\u{323}\u{307}");
    for (user_id, password) in [("composed", composed), ("decomposed", decomposed)] {
        assert_eq!(call("account.create", user_id, password).await, 0);
        for (password, code) in [(composed, 0), (decomposed, 0), ("lea s", 1005), ("l\u{e9}a \u{1e69}", 1005)] {
            assert_eq!(call("account.login", user_id, password).await, code, "{user_id}: {password:?}");
        }
    }
    assert_eq!(call("account.login", "de\u{301}compose\u{301}", composed).await, 1005);

    // A hash of the decomposed characters, as an earlier version made it. It has the current cost.
    let earlier = "$argon2id$v=19$m=19456,t=2,p=1$rSzMc/RcpYA4ZRuOjzy+0w$tn3Pzrpt8wy+ulOj0oKFrIGsrIdk8OdFFkGI54COEhQ";
    database.add_account("alice", earlier).await;
    assert_eq!(call("account.login", "alice", composed).await, 1005);
    assert_eq!(call("account.login", "alice", "lea").await, 1005);
    assert_eq!(database.hash_of_alice().await, earlier);
    assert_eq!(call("account.login", "alice", decomposed).await, 0);
    assert_ne!(database.hash_of_alice().await, earlier);
    assert_eq!(call("account.login", "alice", composed).await, 0);
}

async fn expired_sessions_are_deleted_in_the_background(kind: Kind) {
    let database = Database::new(kind);
    let server = database.server_with(|config| config.session_ttl = Duration::from_secs(1));
    let api = server.api();
    let alice = api.create("alice").await;
    assert_eq!(database.sessions().await, 1);
    wait_for_async(async || api.call_as(&alice, "demo.counter", json!({})).await.code() == 1007).await;
    // A server deletes them when it starts, and every minute from then on.
    let _second = database.server();
    wait_for_async(async || database.sessions().await == 0).await;
    assert_eq!(api.login("alice").await.code(), 0, "the account stays");
}
