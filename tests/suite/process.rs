//! The files of a server: who may read them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::databases::{Database, Kind};
use crate::support::{Listening as _, Process, directory, server_binary};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn command(directory: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(server_binary());
    let output = command.args(arguments).current_dir(directory).stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn the_files_of_a_new_database_can_be_read_by_their_owner_alone() {
    let database = Database::new(Kind::Sqlite);
    let server = database.process(&[]);
    server.api().create("alice").await;
    for name in ["simpleapi.db", "simpleapi.db-wal", "simpleapi.db-shm"] {
        assert_eq!(mode(&database.directory.path().join(name)), 0o600, "{name}");
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn secrets_and_a_database_that_others_can_read_are_warnings_with_a_remedy() {
    let directory = directory();
    assert_eq!(command(directory.path(), &["check"]), (Some(0), String::new()));
    let path = directory.path().join("simpleapi.db");
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let (status, text) = command(directory.path(), &["check"]);
    assert!(status == Some(0) && text.contains("can read the database; run `chmod 600 simpleapi.db"), "{text}");
    let server = Process::start(&directory, &server_binary(), &[]);
    server.wait_for_log("can read the database");

    let secret = directory.path().join("password");
    std::fs::write(&secret, "secret").unwrap();
    std::fs::set_permissions(&secret, Permissions::from_mode(0o644)).unwrap();
    let mut check = Command::new(server_binary());
    check.arg("check").current_dir(directory.path()).env("SIMPLEAPI_MYSQL_PASSWORD_FILE", &secret);
    let text = String::from_utf8_lossy(&check.output().unwrap().stderr).into_owned();
    assert!(text.contains("the file that `SIMPLEAPI_MYSQL_PASSWORD_FILE` names; run `chmod 600`"), "{text}");
}
