//! The process around a server: its files, and a database that cannot be written.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

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

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_missing_database_file_is_not_ready_and_acknowledges_no_account() {
    let database = Database::new(Kind::Sqlite);
    let server = database.server();
    let api = server.api();
    api.create("alice").await;
    assert_eq!(api.get("/readyz").await.status, 200);
    let path = database.directory.path().join("simpleapi.db");
    let moved = database.directory.path().join("moved.db");
    std::fs::rename(&path, &moved).unwrap();
    assert_eq!(api.get("/readyz").await.status, 503);
    let create = json!({ "user_id": "bob", "password": "secret" });
    assert_eq!(api.call("account.create", create.clone()).await.code(), 1016);
    std::fs::write(&path, "").unwrap();
    assert_eq!(api.get("/readyz").await.status, 503, "another file");
    assert_eq!(api.call("account.create", create.clone()).await.code(), 1016);
    std::fs::rename(&moved, &path).unwrap();
    wait_for_ready(&server).await;
    assert_eq!(api.call("account.create", create).await.code(), 0);
}

async fn wait_for_ready(server: &crate::server::Server) {
    let api = server.api();
    crate::support::wait_for_async(async || api.get("/readyz").await.status == 200).await;
}

/// A file system of eight mebibytes, unmounted when dropped; `None` where this process may not mount one.
#[cfg(feature = "sqlite")]
struct SmallDisk(tempfile::TempDir);

#[cfg(feature = "sqlite")]
impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(folder.path()).output();
        mount.is_ok_and(|output| output.status.success()).then(|| SmallDisk(folder))
    }
}

#[cfg(feature = "sqlite")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let Some(disk) = SmallDisk::mount() else {
        println!("SKIPPED: only root may mount a small disk");
        return;
    };
    let path = disk.0.path().join("simpleapi.db");
    let server = crate::server::Server::start_with(|config| config.sqlite_path = path.clone());
    let api = server.api();
    let alice = api.create("alice").await;
    let filler = disk.0.path().join("filler");
    let mut size = 8 << 20;
    while size > 512 {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(&filler);
        let _ = file.and_then(|mut file| std::io::Write::write_all(&mut file, &vec![0; size]));
        size /= 2;
    }
    let create = |user_id: String| {
        let api = api.clone();
        async move { api.call("account.create", json!({ "user_id": user_id, "password": "secret" })).await.code() }
    };
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    for n in 0..40 {
        match create(format!("user{n}")).await {
            0 => acknowledged.push(format!("user{n}")),
            1016 => refused += 1,
            code => panic!("{code}"),
        }
    }
    assert!(refused > 0, "the disk is full");
    crate::support::wait_for_async(async || api.get("/readyz").await.status == 503).await;
    assert_eq!(api.call_as(&alice, "demo.echo", json!(1)).await.code(), 0, "reads continue");
    std::fs::remove_file(&filler).unwrap();
    wait_for_ready(&server).await;
    assert_eq!(create("after".to_owned()).await, 0);
    for user_id in acknowledged {
        assert_eq!(api.login(&user_id).await.code(), 0, "{user_id}");
    }
}
