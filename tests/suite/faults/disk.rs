//! A disk without space, and one that is read-only.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::server::Server;
use crate::support::{Listening as _, server_binary, wait_for_async};

/// A file system of eight mebibytes, unmounted when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let disk = SmallDisk(tempfile::tempdir().unwrap());
        disk.run_mount(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"]);
        disk
    }

    fn make_read_only(&self, is_read_only: bool) {
        self.run_mount(&["-o", if is_read_only { "remount,ro" } else { "remount,rw" }]);
    }

    fn run_mount(&self, options: &[&str]) {
        let output = Command::new("mount").args(options).arg(self.0.path()).output().unwrap();
        assert!(output.status.success(), "only root may mount a disk: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[tokio::test]
#[ignore = "mounts a small disk, as root: run tests/run"]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let disk = SmallDisk::mount();
    let path = disk.0.path().join("simpleapi.db");
    let server = Server::start_with(|config| config.sqlite_path = path.clone());
    let api = server.api();
    let alice = api.create("alice").await;
    let filler = disk.0.path().join("filler");
    let mut size = 8 << 20;
    while size > 512 {
        let file = OpenOptions::new().append(true).create(true).open(&filler);
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
    wait_for_async(async || api.get("/readyz").await.status == 503).await;
    assert_eq!(api.call_as(&alice, "demo.echo", json!(1)).await.code(), 0, "reads continue");
    std::fs::remove_file(&filler).unwrap();
    wait_for_async(async || api.get("/readyz").await.status == 200).await;
    assert_eq!(create("after".to_owned()).await, 0);
    for user_id in acknowledged {
        assert_eq!(api.login(&user_id).await.code(), 0, "{user_id}");
    }
}

#[tokio::test]
#[ignore = "mounts a small disk, as root: run tests/run"]
async fn a_read_only_disk_is_named_at_the_start() {
    let disk = SmallDisk::mount();
    let path = disk.0.path().join("simpleapi.db");
    let check = || {
        let option = format!("--sqlite_path={}", path.display());
        let output =
            Command::new(server_binary()).args(["check", &option]).current_dir(disk.0.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let expected = |path: &Path| {
        let start =
            format!("server: cannot use the database sqlite in {}: ", disk.0.path().join("simpleapi.db").display());
        (Some(1), format!("{start}{} cannot be written: Read-only file system (os error 30)\n", path.display()))
    };
    disk.make_read_only(true);
    assert_eq!(check(), expected(disk.0.path()), "without a file");
    disk.make_read_only(false);
    let server = Server::start_with(|config| config.sqlite_path = path.clone());
    server.api().create("alice").await;
    server.stop();
    disk.make_read_only(true);
    assert_eq!(check(), expected(&path), "with a file");
    disk.make_read_only(false);
    assert_eq!(check(), (Some(0), String::new()));
    let server = Server::start_with(|config| config.sqlite_path = path.clone());
    assert_eq!(server.api().login("alice").await.code(), 0);
}
