//! `generate` in a process with the variables that Cargo sets.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use method_build::Package;

use crate::{ASYNC, folder};

/// The process of the tests below, because `generate` ends its process.
#[test]
#[ignore = "run by the other tests"]
fn build_script() {
    method_build::generate();
}

fn run(folder: &Path) -> Output {
    command(folder).output().unwrap()
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "--nocapture", "build_script::build_script"])
        .env("CARGO_MANIFEST_DIR", folder)
        .env("OUT_DIR", folder)
        .envs([("CARGO_PKG_NAME", "shop"), ("CARGO_PKG_VERSION", "1.2.3"), ("CARGO_CFG_FEATURE", "default,sqlite")]);
    command
}

fn instructions(output: &Output, instruction: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    // The test harness may have written the start of the line.
    text.lines().filter_map(|line| Some(line.split_once(instruction)?.1.to_owned())).collect()
}

#[test]
fn it_writes_the_source_and_watches_every_folder_and_file() {
    let folder = folder(&[("greet.rs", ASYNC), ("account/login.rs", ASYNC), ("pages/x.html", "")]);
    let output = run(folder.path());
    assert!(output.status.success(), "{output:?}");
    let source = fs::read_to_string(folder.path().join("methods.rs")).unwrap();
    let features = ["default", "sqlite"].map(str::to_owned).into();
    let package = Package { name: "shop".to_owned(), version: "1.2.3".to_owned(), features };
    assert_eq!(source, method_build::read(&folder.path().join("methods"), package).unwrap().source(&[], None));
    let mut watched = instructions(&output, "cargo::rerun-if-changed=");
    watched.sort();
    let expected = ["", "/account", "/account/login.rs", "/greet.rs", "/pages", "/pages/x.html"];
    assert_eq!(watched, expected.map(|path| format!("{}/methods{path}", folder.path().display())));
}

#[test]
fn a_change_that_breaks_callers_is_a_warning_or_an_error() {
    let folder = folder(&[("greet.rs", ASYNC)]);
    let contract = method_build::read(&folder.path().join("methods"), Package::default()).unwrap().contract();
    fs::write(folder.path().join("contract.json"), contract.lock()).unwrap();
    let output = run(folder.path());
    assert!(instructions(&output, "cargo::warning=").is_empty(), "{output:?}");
    assert!(instructions(&output, "cargo::rerun-if-changed=").contains(&"contract.json".to_owned()));

    fs::rename(folder.path().join("methods/greet.rs"), folder.path().join("methods/hello.rs")).unwrap();
    let output = run(folder.path());
    assert!(output.status.success());
    assert_eq!(instructions(&output, "cargo::warning="), ["methods/greet.rs: greet: the method no longer exists"]);
    let denied = command(folder.path()).env("SIMPLEAPI_CONTRACT", "deny").output().unwrap();
    assert_eq!(denied.status.code(), Some(1));
    assert_eq!(instructions(&denied, "cargo::error="), ["methods/greet.rs: greet: the method no longer exists"]);

    fs::write(folder.path().join("contract.json"), "{").unwrap();
    let errors = instructions(&run(folder.path()), "cargo::error=");
    assert!(errors[0].starts_with("contract.json: EOF while parsing"), "{errors:?}");
}

#[test]
fn it_reports_every_error_to_cargo_and_fails() {
    let folder = folder(&[("b.rs", "\nfn invoke(h: &mut H, p: P) -> R { a() }"), ("a-b.rs", ASYNC)]);
    let output = run(folder.path());
    assert_eq!(output.status.code(), Some(1));
    let errors = instructions(&output, "cargo::error=");
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("methods/a-b.rs: the name `a-b` must begin with a letter"));
    assert_eq!(errors[1], "methods/b.rs:2: `invoke` is private; write `pub` before it");
    assert!(!instructions(&output, "cargo::rerun-if-changed=").is_empty());
    assert!(!folder.path().join("methods.rs").exists());
}

#[test]
fn it_watches_a_folder_that_does_not_exist_yet() {
    let empty = tempfile::tempdir().unwrap();
    let output = run(empty.path());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(instructions(&output, "cargo::rerun-if-changed="), [empty.path().join("methods").to_str().unwrap()]);
    assert_eq!(instructions(&output, "cargo::error=").len(), 1);
}

#[cfg(unix)]
#[test]
fn a_line_break_in_a_name_is_not_an_instruction() {
    let folder = folder(&[("a\ncargo::warning=x.rs", ASYNC)]);
    let output = run(folder.path());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("cargo::warning=x.rs"));
    assert!(!text.lines().any(|line| line.starts_with("cargo::warning")), "{text}");
}

#[test]
fn migrations_are_read_in_their_order_and_others_are_errors() {
    let folder = folder(&[("greet.rs", ASYNC)]);
    let save = |file: &str, text: &str| {
        let path = folder.path().join("migrations").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let read = || method_build::read_migrations(folder.path());
    assert_eq!(read().unwrap(), []);
    for (file, text) in
        [("sqlite/0010_b.sql", "b"), ("sqlite/2_a.sql", "a"), ("mysql/1_c.sql", ""), ("sqlite/notes.md", "")]
    {
        save(file, text);
    }
    let found: Vec<_> = read().unwrap().into_iter().map(|found| (found.database, found.version, found.sql)).collect();
    assert_eq!(found, [("mysql", 1, String::new()), ("sqlite", 2, "a".to_owned()), ("sqlite", 10, "b".to_owned())]);
    let output = run(folder.path());
    assert!(output.status.success(), "{output:?}");
    let source = fs::read_to_string(folder.path().join("methods.rs")).unwrap();
    assert!(source.contains("version: 10, file: \"migrations/sqlite/0010_b.sql\", sql: include_str!("), "{source}");
    assert!(instructions(&output, "cargo::rerun-if-changed=").iter().any(|path| path.ends_with("sqlite/0010_b.sql")));

    for file in ["sqlite/02_again.sql", "sqlite/notes.sql", "sqlite/1_.sql", "mongodb/1_x.sql", "1_x.sql"] {
        save(file, "");
    }
    let problems: Vec<String> = read().unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 5, "{problems:#?}");
    assert!(
        problems.contains(
            &"migrations/sqlite/2_a.sql: it has the number of migrations/sqlite/02_again.sql; give it the next one"
                .to_owned()
        ),
        "{problems:#?}"
    );
    assert_eq!(instructions(&run(folder.path()), "cargo::error=").len(), 5);
}

#[test]
fn the_start_function_has_one_form_and_is_part_of_the_program() {
    let start =
        "pub async fn start(connection: &DatabaseHandle) -> Result<()> { super::_shared::fill(connection).await }";
    let files = [("_start.rs", start), ("_shared.rs", ""), ("_other.rs", ""), ("greet.rs", ASYNC)];
    let source = crate::tree(&files).source(&[], None);
    assert!(source.contains("Box::pin(crate::_start::start(connection))"), "{source}");
    assert!(!crate::tree(&[("greet.rs", ASYNC)]).source(&[], None).contains("_start"));
    for (text, expected) in [
        ("", "methods/_start.rs: the function `start` is missing; write `pub async fn start("),
        ("async fn start(c: &D) -> R {}", "methods/_start.rs:1: `start` must be `pub async fn start("),
        ("pub fn start(c: &D) -> R {}", "methods/_start.rs:1: `start` must be `pub async fn start("),
        ("pub async fn start() -> R {}", "methods/_start.rs:1: `start` must be `pub async fn start("),
    ] {
        let problems = crate::problems(&[("_start.rs", text)]);
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{text}: {problems:?}");
    }
}
