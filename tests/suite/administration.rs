//! Accounts on the command line, and the import from a database of the Python version.

#[cfg(feature = "sqlite")]
use std::io::Read as _;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::databases::{Database, Kind, over_every_store};
use crate::support::Listening as _;

over_every_store! {
    accounts_are_created_changed_listed_and_deleted
    an_unreadable_schema_version_is_an_error
    ; atomic
    a_password_change_during_logins_leaves_no_session_of_the_old_password
}

/// Runs the command with this standard input.
fn run(mut command: Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn output_text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn accounts_are_created_changed_listed_and_deleted(kind: Kind) {
    let database = Database::new(kind);
    let server = database.server();
    let api = server.api();
    let account = |arguments: &[&str], input: &str| {
        let output = run(database.command(&[&["account"], arguments].concat()), input);
        (output.status.code().unwrap(), output_text(&output))
    };
    for user_id in ["alice", "Alice", "alice ", "bob"] {
        assert_eq!(account(&["create", user_id], "secret\n"), (0, format!("created account {user_id:?}\n")));
    }
    assert_eq!(account(&["create", "alice"], "other\n"), (1, "server: account \"alice\" already exists\n".to_owned()));
    let invalid_password = (1, "server: invalid password: expected 1 to 1024 bytes\n".to_owned());
    assert_eq!(account(&["create", "carol"], ""), invalid_password, "an empty password");
    let invalid_user_id = "server: invalid user id \"a\\nb\": expected 1 to 255 bytes without control characters\n";
    assert_eq!(account(&["create", "a\nb"], "secret"), (1, invalid_user_id.to_owned()));
    assert_eq!(account(&["create", "carol"], &"x".repeat(1025)), invalid_password);
    let alice = api.login("alice").await.session();

    let changed = (0, "changed the password of account \"alice\"\n".to_owned());
    assert_eq!(account(&["passwd", "alice"], "s3cret\n"), changed);
    assert_eq!(api.call_as(&alice, "demo.counter", json!({})).await.code(), 1007, "its sessions have ended");
    assert_eq!(api.login("alice").await.code(), 1005);
    assert_eq!(api.login("Alice").await.code(), 0, "another account");
    let credentials = json!({ "user_id": "alice", "password": "s3cret" });
    let alice = api.call("account.login", credentials.clone()).await.session();
    assert_eq!(
        account(&["passwd", "unknown"], "secret"),
        (1, "server: account \"unknown\" does not exist\n".to_owned())
    );

    let (status, list) = account(&["list"], "");
    assert_eq!(status, 0);
    let users: Vec<_> = list.lines().map(|line| line.split_once("Z  ").map_or(line, |(_, user)| user)).collect();
    assert_eq!(users, ["Alice", "alice", "alice ", "bob", "4 accounts"]);

    assert_eq!(account(&["delete", "alice"], ""), (0, "deleted account \"alice\"\n".to_owned()));
    assert_eq!(api.call_as(&alice, "demo.counter", json!({})).await.code(), 1007);
    assert_eq!(api.call("account.login", credentials).await.code(), 1005);
    assert_eq!(account(&["delete", "alice"], ""), (1, "server: account \"alice\" does not exist\n".to_owned()));
    assert_eq!(api.login("alice ").await.code(), 0);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_byte_order_mark_is_no_part_of_a_password() {
    let database = Database::new(Kind::Sqlite);
    let created = run(database.command(&["account", "create", "alice"]), "\u{feff}secret\r\n");
    assert!(created.status.success(), "{}", output_text(&created));
    assert_eq!(database.server().api().login("alice").await.code(), 0);
}

/// A text on the screen, and what a person types after it.
#[cfg(feature = "sqlite")]
type Reaction<'a> = (&'a str, &'a dyn Fn(&str) -> &'static str);

/// Runs `script` in a shell on a terminal of its own, in which `$SERVER` creates the account alice. Each reaction follows the text before
/// it. Returns the whole screen.
#[cfg(feature = "sqlite")]
fn on_a_terminal(database: &Database, script: &str, reactions: &[Reaction<'_>]) -> String {
    let server = database.command(&["account", "create", "alice"]);
    let arguments: Vec<_> = server.get_args().map(|argument| argument.to_str().unwrap()).collect();
    let mut command = Command::new("script");
    command.args(["-qefc", script, "/dev/null"]).current_dir(server.get_current_dir().unwrap());
    command
        .env("SHELL", "/bin/sh")
        .env("SERVER", format!("{} {}", server.get_program().display(), arguments.join(" ")));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut text, mut seen) = (String::new(), 0);
    for (expected, react) in reactions {
        while !text[seen..].contains(expected) {
            let mut bytes = [0; 1024];
            let count = screen.read(&mut bytes).unwrap();
            assert!(count > 0, "{expected:?} is not in {text:?}");
            text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
        seen = text.len();
        keyboard.write_all(react(&text).as_bytes()).unwrap();
    }
    screen.read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    text
}

#[cfg(feature = "sqlite")]
fn has_echo(screen: &str) -> bool {
    screen.split_whitespace().any(|setting| setting == "echo")
}

#[cfg(feature = "sqlite")]
#[test]
fn a_signal_at_a_password_prompt_restores_the_terminal() {
    let script = "trap : INT QUIT; sh -c 'echo pid=$$; exec $SERVER'; echo status=$?; stty -a";
    for (key, signal, status) in [
        ("\x03", "", 130),
        ("\x1c", "", 131),
        ("", "TERM", 143),
        ("", "HUP", 129),
        ("", "USR1", 138),
        ("", "ALRM", 142),
    ] {
        let database = Database::new(Kind::Sqlite);
        let end = |screen: &str| {
            let pid = screen.split_once("pid=").and_then(|(_, rest)| rest.lines().next()).unwrap();
            assert!(!key.is_empty() || Command::new("kill").args(["-s", signal, pid]).status().unwrap().success());
            key
        };
        let screen = on_a_terminal(&database, script, &[("New password: ", &end)]);
        assert!(has_echo(&screen) && screen.contains(&format!("status={status}")), "{key:?} {signal}: {screen}");
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn a_password_prompt_that_is_stopped_shows_the_terminals_input_until_it_continues() {
    let database = Database::new(Kind::Sqlite);
    let script = "set -m; $SERVER; stty -a; echo stopped; fg; echo status=$?; stty -a";
    let prompts: [Reaction<'_>; 3] = [
        ("New password: ", &|_| "\x1a"),
        ("New password: ", &|_| "secret\n"),
        ("Repeat the new password: ", &|_| "secret\n"),
    ];
    let screen = on_a_terminal(&database, script, &prompts);
    let (before, after) = screen.split_once("stopped").unwrap();
    assert!(has_echo(before) && has_echo(after) && !screen.contains("secret"), "{screen}");
    assert!(after.contains("created account \"alice\"") && after.contains("status=0"), "{screen}");
}

async fn a_password_change_during_logins_leaves_no_session_of_the_old_password(kind: Kind) {
    let database = Database::new(kind);
    let server = database.server();
    let api = server.api();
    api.create("alice").await;
    for round in 0..3 {
        let (old, new) = (format!("secret{round}"), format!("secret{}", round + 1));
        if round == 0 {
            let parameters = json!({ "user_id": "alice", "password": "secret", "new_password": old });
            assert_eq!(api.call("account.update", parameters).await.code(), 0);
        }
        let logins: Vec<_> = (0..3)
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
                    assert_eq!(ended, 1007, "a session opened with the old password");
                }
                code => assert_eq!(code, 1005),
            }
        }
        assert_eq!(api.call_as(&changed, "demo.counter", json!({})).await.code(), 0);
    }
}

async fn an_unreadable_schema_version_is_an_error(kind: Kind) {
    let database = Database::new(kind);
    let check = || {
        let output = database.command(&["check"]).output().unwrap();
        (output.status.code().unwrap(), output_text(&output))
    };
    assert_eq!(check().0, 0, "an empty database has version 0");
    let create = database.command(&["account", "create", "alice"]);
    assert_eq!(run(create, "secret\n").status.code(), Some(0));

    let problem = database.break_schema_version().await;
    let (status, message) = check();
    assert_eq!(status, 1, "{message}");
    assert!(message.contains("cannot use the database") && message.contains(problem), "{message}");
    database.repair_schema_version().await;
    assert_eq!(check().0, 0);
    let list = database.command(&["account", "list"]);
    assert!(output_text(&run(list, "")).contains("alice"), "the accounts are unchanged");
}

/// The Python version's hash of `secret`: SHA-256, in hex.
const LEGACY_HASH: &str = "f0a2b67345dd9b4f854ce4e84821b023c17fff2cce1bc9e7cfe1cc05c4f1e133";

/// Imports twice from the database at `url`, which holds alice, `more` other accounts and two that cannot be imported.
#[cfg(any(feature = "mysql", feature = "mongodb"))]
async fn import(url: &str, more: usize) {
    let database = Database::new(Kind::ANY);
    let command = || database.command(&["import", "--from", url]);
    let first = run(command(), "");
    let text = output_text(&first);
    assert_eq!(first.status.code(), Some(1), "not all accounts were imported: {text}");
    assert!(text.contains(&format!("imported {} accounts, 0 already existed, 2 were rejected", more + 1)), "{text}");
    assert!(text.contains(r#"rejected "a\nb": its user id is not 1 to 255 bytes"#), "{text}");
    assert!(text.contains(r#"rejected "carol": its password hash is not 64 lowercase hex digits"#), "{text}");
    let server = database.server();
    assert_eq!(server.api().login("alice").await.code(), 0, "with the imported hash");
    assert!(database.hash_of_alice().await.starts_with("$argon2id$"));
    assert_eq!(server.api().login("user7").await.code(), 1005, "each has its own hash");
    let text = output_text(&run(command(), ""));
    assert!(text.contains(&format!("imported 0 accounts, {} already existed, 2 were rejected", more + 1)), "{text}");
    assert!(database.hash_of_alice().await.starts_with("$argon2id$"), "an existing account is kept");
    let list = output_text(&database.command(&["account", "list"]).output().unwrap());
    assert_eq!(list.lines().count(), more + 2, "one line per account, and the total");
}

#[cfg(feature = "mysql")]
#[tokio::test]
#[ignore = "needs MySQL: run tests/run"]
async fn accounts_of_a_legacy_mysql_database_are_imported() {
    use method_sdk::sqlx;
    const MORE: usize = 1200; // more than a page of the list
    let legacy = Database::new(Kind::Mysql);
    let handle = legacy.handle().await;
    let pool = handle.mysql().unwrap();
    let table =
        "CREATE TABLE account (account_id INT AUTO_INCREMENT PRIMARY KEY, user_id VARCHAR(255), password VARCHAR(255))";
    sqlx::query(table).execute(pool).await.unwrap();
    let mut rows = vec![
        format!("('alice', '{LEGACY_HASH}')"),
        format!("('a\\nb', '{LEGACY_HASH}')"),
        "('carol', 'plain')".to_owned(),
    ];
    rows.extend((0..MORE).map(|n| format!("('user{n}', '{LEGACY_HASH}')")));
    let insert = format!("INSERT INTO account (user_id, password) VALUES {}", rows.join(","));
    sqlx::query(sqlx::AssertSqlSafe(insert)).execute(pool).await.unwrap();
    import(&legacy.url, MORE).await;
}

#[cfg(feature = "mongodb")]
#[tokio::test]
#[ignore = "needs MongoDB: run tests/run"]
async fn accounts_of_a_legacy_mongodb_database_are_imported() {
    use method_sdk::mongodb::bson::{Document, doc};
    const MORE: usize = 120; // more than the driver fetches at a time
    let legacy = Database::new(Kind::Mongodb);
    let handle = legacy.handle().await;
    let accounts = handle.mongodb().unwrap().collection::<Document>("accounts");
    let mut rows = vec![
        doc! { "user_id": "alice", "password": LEGACY_HASH },
        doc! { "user_id": "a\nb", "password": LEGACY_HASH },
        doc! { "user_id": "carol" },
    ];
    rows.extend((0..MORE).map(|n| doc! { "user_id": format!("user{n}"), "password": LEGACY_HASH }));
    accounts.insert_many(rows).await.unwrap();
    import(&legacy.url, MORE).await;
}

#[test]
fn an_import_reads_its_source_from_a_file_or_the_environment() {
    const URL: &str = "mongodb://u:very-secret@127.0.0.1:1/d?serverSelectionTimeoutMS=500";
    let database = Database::new(Kind::ANY);
    let path = database.directory.path().join("source");
    std::fs::write(&path, format!("{URL}\n")).unwrap();
    let output = |options: &[&str], variable: Option<&str>| {
        let mut command = database.command(&[&["import"], options].concat());
        command.envs(variable.map(|url| ("SIMPLEAPI_IMPORT_FROM", url)));
        run(command, "")
    };
    let sources = [(&["--from", URL][..], None), (&["--from_file", path.to_str().unwrap()], None), (&[], Some(URL))];
    for (options, variable) in sources {
        let text = output_text(&output(options, variable));
        assert!(text.contains("cannot read the Python version's accounts") && !text.contains("very-secret"), "{text}");
    }
    let missing = output(&[], None);
    assert_eq!(missing.status.code(), Some(2));
    assert!(output_text(&missing).contains("in a file after `--from_file`"), "{}", output_text(&missing));
    let unreadable = output_text(&output(&["--from_file", "very-secret"], None));
    assert!(unreadable.contains("cannot read the file") && !unreadable.contains("very-secret"), "{unreadable}");
}

#[test]
fn an_import_from_an_unreachable_database_is_reported() {
    let database = Database::new(Kind::ANY);
    for (url, problem) in [
        ("sqlite://x", "`--from` requires a URL"),
        ("x", "`--from` requires a URL"),
        ("mysql://u:very-secret@127.0.0.1:1/d", ""),
        ("mongodb://u:very-secret@127.0.0.1:1/d?serverSelectionTimeoutMS=500", ""),
    ] {
        let output = run(database.command(&["import", "--from", url]), "");
        let text = output_text(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("cannot read the Python version's accounts") && text.contains(problem), "{text}");
        assert!(!text.contains("very-secret"), "{text}");
    }
}
