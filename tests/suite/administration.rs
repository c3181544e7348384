//! Accounts from the command line, and those of an ancestor.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::databases::{Database, Kind, over_every_store};

over_every_store! {
    accounts_are_made_changed_listed_and_removed
    ; atomic
    a_change_of_password_while_people_log_in_leaves_no_old_session
}

/// Runs it with this on its standard input.
fn tell(mut command: Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn accounts_are_made_changed_listed_and_removed(kind: Kind) {
    let database = Database::new(kind);
    let server = database.server(&[]);
    let api = server.api();
    let account = |arguments: &[&str], input: &str| {
        let output = tell(database.command(&[&["account"], arguments].concat()), input);
        (output.status.code().unwrap(), said(&output))
    };
    for user_id in ["alice", "Alice", "alice ", "bob"] {
        assert_eq!(account(&["create", user_id], "secret\n"), (0, format!("account {user_id:?} is made\n")));
    }
    assert_eq!(account(&["create", "alice"], "other\n"), (1, "server: User ID already in use.\n".to_owned()));
    assert_eq!(account(&["create", "carol"], "").0, 1, "an empty password");
    assert_eq!(account(&["create", "a\nb"], "secret"), (1, "server: Invalid user ID\n".to_owned()));
    assert_eq!(account(&["create", "carol"], &"x".repeat(1025)).0, 1);
    let alice = api.login("alice").await.session();

    assert_eq!(account(&["passwd", "alice"], "s3cret\n").0, 0);
    assert_eq!(api.call_as(&alice, "demo.counter", json!({})).await.code(), 1007, "its sessions have ended");
    assert_eq!(api.login("alice").await.code(), 1005);
    assert_eq!(api.login("Alice").await.code(), 0, "another account");
    let credentials = json!({ "user_id": "alice", "password": "s3cret" });
    let alice = api.call("account.login", credentials.clone()).await.session();
    assert_eq!(account(&["passwd", "nobody"], "secret"), (1, "server: there is no account \"nobody\"\n".to_owned()));

    let (status, list) = account(&["list"], "");
    assert_eq!(status, 0);
    let users: Vec<_> = list.lines().map(|line| line.split_once("Z  ").map_or(line, |(_, user)| user)).collect();
    assert_eq!(users, ["Alice", "alice", "alice ", "bob", "4 accounts"]);

    assert_eq!(account(&["delete", "alice"], ""), (0, "account \"alice\" is removed\n".to_owned()));
    assert_eq!(api.call_as(&alice, "demo.counter", json!({})).await.code(), 1007);
    assert_eq!(api.call("account.login", credentials).await.code(), 1005);
    assert_eq!(account(&["delete", "alice"], ""), (1, "server: there is no account \"alice\"\n".to_owned()));
    assert_eq!(api.login("alice ").await.code(), 0);
}

async fn a_change_of_password_while_people_log_in_leaves_no_old_session(kind: Kind) {
    let database = Database::new(kind);
    let server = database.server(&[]);
    let api = server.api();
    api.create("alice").await;
    for round in 0..3 {
        let (old, new) = (format!("secret{round}"), format!("secret{}", round + 1));
        if round == 0 {
            let parameters = json!({ "user_id": "alice", "password": "secret", "new_password": old });
            assert_eq!(api.call("account.update", parameters).await.code(), 0);
        }
        let logins: Vec<_> = (0..20)
            .map(|_| {
                let (api, credentials) = (api.clone(), json!({ "user_id": "alice", "password": old }));
                tokio::spawn(async move { api.call("account.login", credentials).await })
            })
            .collect();
        let parameters = json!({ "user_id": "alice", "password": old, "new_password": new });
        let changed = api.call("account.update", parameters).await.session();
        for login in logins {
            let reply = login.await.unwrap();
            match reply.code() {
                0 => {
                    let ended = api.call_as(&reply.session(), "demo.counter", json!({})).await.code();
                    assert_eq!(ended, 1007, "opened with the old password");
                }
                code => assert_eq!(code, 1005),
            }
        }
        assert_eq!(api.call_as(&changed, "demo.counter", json!({})).await.code(), 0);
    }
}

const ALICES: &str = "f0a2b67345dd9b4f854ce4e84821b023c17fff2cce1bc9e7cfe1cc05c4f1e133";

/// Imports twice from `url`, where alice, `more` others and two that cannot be taken over are.
#[cfg(any(feature = "mysql", feature = "mongodb"))]
async fn import(url: &str, more: usize) {
    let database = Database::new(Kind::ANY);
    let command = || database.command(&["import", "--from", url]);
    let first = tell(command(), "");
    let told = said(&first);
    assert_eq!(first.status.code(), Some(1), "not all were taken over: {told}");
    assert!(told.contains(&format!("{} accounts taken over, 0 were here already, 2 refused", more + 1)), "{told}");
    assert!(told.contains(r#""a\nb" is not taken over: not a user id"#), "{told}");
    assert!(told.contains(r#""carol" is not taken over: its password is not 64 hex digits"#), "{told}");
    let server = database.server(&[]);
    assert_eq!(server.api().login("alice").await.code(), 0, "the next day");
    assert!(database.hash_of_alice().await.starts_with("$argon2id$"));
    assert_eq!(server.api().login("user7").await.code(), 1005, "each has its own hash");
    let told = said(&tell(command(), ""));
    assert!(told.contains(&format!("0 accounts taken over, {} were here already, 2 refused", more + 1)), "{told}");
    assert!(database.hash_of_alice().await.starts_with("$argon2id$"), "what is here stays");
    let list = said(&database.command(&["account", "list"]).output().unwrap());
    assert_eq!(list.lines().count(), more + 2, "and a line of how many");
}

#[cfg(feature = "mysql")]
#[tokio::test]
#[ignore = "needs MySQL: run tests/run"]
async fn accounts_of_an_ancestors_mysql_are_taken_over() {
    use method_sdk::sqlx;
    const MORE: usize = 1200; // more than a page of the list
    let ancestor = Database::new(Kind::Mysql);
    let handle = ancestor.handle().await;
    let pool = handle.mysql().unwrap();
    let table =
        "CREATE TABLE account (account_id INT AUTO_INCREMENT PRIMARY KEY, user_id VARCHAR(255), password VARCHAR(255))";
    sqlx::query(table).execute(pool).await.unwrap();
    let mut rows =
        vec![format!("('alice', '{ALICES}')"), format!("('a\\nb', '{ALICES}')"), "('carol', 'plain')".to_owned()];
    rows.extend((0..MORE).map(|n| format!("('user{n}', '{ALICES}')")));
    let insert = format!("INSERT INTO account (user_id, password) VALUES {}", rows.join(","));
    sqlx::query(sqlx::AssertSqlSafe(insert)).execute(pool).await.unwrap();
    import(&ancestor.url, MORE).await;
}

#[cfg(feature = "mongodb")]
#[tokio::test]
#[ignore = "needs MongoDB: run tests/run"]
async fn accounts_of_an_ancestors_mongodb_are_taken_over() {
    use method_sdk::mongodb::bson::{Document, doc};
    const MORE: usize = 120; // more than the driver fetches at a time
    let ancestor = Database::new(Kind::Mongodb);
    let handle = ancestor.handle().await;
    let accounts = handle.mongodb().unwrap().collection::<Document>("accounts");
    let mut rows = vec![
        doc! { "user_id": "alice", "password": ALICES },
        doc! { "user_id": "a\nb", "password": ALICES },
        doc! { "user_id": "carol" },
    ];
    rows.extend((0..MORE).map(|n| doc! { "user_id": format!("user{n}"), "password": ALICES }));
    accounts.insert_many(rows).await.unwrap();
    import(&ancestor.url, MORE).await;
}

#[test]
fn an_import_from_nowhere_is_said() {
    let database = Database::new(Kind::ANY);
    for (url, problem) in [
        ("sqlite://x", "--from takes a URL"),
        ("x", "--from takes a URL"),
        ("mysql://u:very-secret@127.0.0.1:1/d", ""),
        ("mongodb://u:very-secret@127.0.0.1:1/d?serverSelectionTimeoutMS=500", ""),
    ] {
        let output = tell(database.command(&["import", "--from", url]), "");
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("cannot read the ancestor's accounts") && told.contains(problem), "{told}");
        assert!(!told.contains("very-secret"), "{told}");
    }
}
