//! The command line of a built server.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{directory, server_binary};

/// A test of the server compares it with the table of keys.
const SERVER_CONF: &str = include_str!("../../server.conf");

fn run(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(server_binary()).current_dir(directory).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_shows_every_option_with_its_default_and_every_command() {
    let help = run(directory().path(), &["--help"]);
    let text = out(&help);
    assert!(help.status.success());
    let keys: Vec<_> = SERVER_CONF
        .lines()
        .filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' '))?.split_once('='))
        .collect();
    assert!(!keys.is_empty());
    for (key, default) in keys {
        assert!(text.contains(&format!("--{key}")), "{key}");
        assert!(text.contains(default), "{key}: {default}");
    }
    for command in ["methods", "new", "check", "serve", "account", "import"] {
        assert!(text.contains(command), "{command}");
        assert!(run(directory().path(), &[command, "--help"]).status.success());
    }
}

#[test]
fn methods_lists_each_with_its_file_and_description() {
    let text = out(&run(directory().path(), &["methods"]));
    assert_eq!(text.lines().count(), simpleapi::methods().table.len());
    let login = text.lines().find(|line| line.starts_with("account.login ")).unwrap();
    assert!(login.contains("methods/account/login.rs") && login.ends_with("Opens a session for an existing account."));
}

#[test]
fn new_writes_a_file_once_and_refuses_what_cannot_be_a_method() {
    let directory = directory();
    let at = directory.path();
    assert!(err(&run(at, &["new", "a.b"])).contains("no folder `methods` here"));
    std::fs::create_dir(at.join("methods")).unwrap();
    assert!(out(&run(at, &["new", "shop.cart.add"])).contains("methods/shop/cart/add.rs is written"));
    let written = std::fs::read_to_string(at.join("methods/shop/cart/add.rs")).unwrap();
    assert!(written.contains("pub async fn invoke(") && written.starts_with("//!"));
    for (name, problem) in [
        ("shop.cart.add", "is there already"),
        ("shop.cart", "a folder of the same name"),
        ("shop.cart.add.more", "methods/shop/cart/add.rs is a method already"),
        ("shop.move", "keyword"),
        ("Shop", "`Shop`"),
        ("../x", "cannot be the name of a method"),
        ("", "cannot be the name of a method"),
        ("livez", "livez"),
    ] {
        let refused = run(at, &["new", name]);
        assert_eq!(refused.status.code(), Some(2), "{name}");
        assert!(err(&refused).contains(problem), "{name}: {}", err(&refused));
    }
    assert!(!at.join("x.rs").exists());
}

#[cfg(feature = "sqlite")]
#[test]
fn check_says_what_is_good_and_what_is_wrong() {
    let directory = directory();
    let at = directory.path();
    let good = run(at, &["check"]);
    assert!(good.status.success() && out(&good).contains("database: sqlite in simpleapi.db, good"), "{}", err(&good));
    let missing = run(at, &["check", "--sqlite_path=no/such/folder/x.db"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(err(&missing).contains("cannot use the database sqlite in no/such/folder/x.db"), "{}", err(&missing));
    std::fs::write(at.join("text.db"), "this is not a database, by any means at all").unwrap();
    assert!(err(&run(at, &["check", "--sqlite-path=text.db"])).contains("text.db"));
    std::fs::write(at.join("server.conf"), "prot=1\n").unwrap();
    let wrong = run(at, &["check"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(err(&wrong).contains("server.conf:1") && err(&wrong).contains("`port`"), "{}", err(&wrong));
    assert!(run(at, &["methods"]).status.success(), "works beside a broken server.conf");
}

#[test]
fn a_database_that_is_not_configured_is_refused_with_what_is_missing() {
    for (options, problem) in [
        (&["--database=mysql"][..], "database=mysql needs mysql_user, or mysql_url"),
        (&["--database=mysql", "--mysql_user=a", "--mysql-host=a:b"], "mysql_host=a:b is not a host"),
        (&["--database=mysql", "--mysql_url=mysql://[x"], "mysql_url cannot be read"),
        (&["--database=postgres"], "database=postgres needs postgres_url=postgres://USER:PASSWORD@HOST/DATABASE"),
        (&["--database=postgres", "--postgres_url=postgres://[x"], "postgres_url cannot be read"),
        (&["--database=mongodb", "--mongodb_url=mongodb://"], "mongodb_url cannot be read"),
        // A password with a slash in it, which ends the part of a URL that it is in.
        (&["--database=mongodb", "--mongodb_url=mongodb://u:very-secret/@h/d"], "%2F for a `/` in the password"),
        (&["--database=mongodb", "--mongodb_url=mongodb://u:v/very-secret@h/d"], "mongodb_url cannot be read"),
        (&["--database=mysql", "--mysql_url=mysql://u:very-secret/@h/d"], "mysql_url cannot be read"),
        (&["--database=postgres", "--postgres_url=postgres://u:very-secret/@h/d"], "postgres_url cannot be read"),
    ] {
        let refused = run(directory().path(), options);
        assert_eq!(refused.status.code(), Some(1), "{options:?}");
        assert!(!err(&refused).contains("very-secret"), "{}", err(&refused));
        assert!(err(&refused).contains(problem), "{options:?}: {}", err(&refused));
    }
}

#[test]
fn check_says_that_a_database_is_away() {
    for options in [
        &["--database=mysql", "--mysql_url=mysql://u:very-secret@127.0.0.1:1/d"][..],
        &["--database=postgres", "--postgres_url=postgres://u:very-secret@127.0.0.1:1/d"],
        &["--database=mongodb", "--mongodb_url=mongodb://u:very-secret@127.0.0.1:1/d", "--database_timeout=2s"],
    ] {
        let refused = run(directory().path(), &[&["check"], options].concat());
        assert_eq!(refused.status.code(), Some(1));
        let told = err(&refused);
        assert!(told.contains("127.0.0.1:1") && told.contains("refused"), "{told}");
        assert!(!told.contains("very-secret"), "{told}");
    }
}

#[test]
fn a_port_in_use_is_said_with_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("--port={}", taken.local_addr().unwrap().port());
    let refused = run(directory().path(), &[&port]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("is in use; name another with --port"), "{}", err(&refused));
}

#[cfg(feature = "sqlite")]
#[test]
fn a_database_of_a_newer_server_is_left_alone() {
    let directory = directory();
    assert!(run(directory.path(), &["check"]).status.success());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let options =
            method_sdk::sqlx::sqlite::SqliteConnectOptions::new().filename(directory.path().join("simpleapi.db"));
        let pool = method_sdk::sqlx::SqlitePool::connect_with(options).await.unwrap();
        method_sdk::sqlx::query("PRAGMA user_version = 99").execute(&pool).await.unwrap();
        pool.close().await;
    });
    let refused = run(directory.path(), &["check"]);
    assert!(err(&refused).contains("its schema is 99, and this server knows up to 1"), "{}", err(&refused));
}
