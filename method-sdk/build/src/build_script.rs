//! The whole of an application's build script.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use walkdir::WalkDir;

use crate::contract::{Contract, LOCK_FILE};
use crate::migrations::{MIGRATIONS_FOLDER, Migration, read_migrations};
use crate::package::Package;
use crate::problem::Problem;
use crate::reader::{TreeReader, read};
use crate::write::{self, Development};

/// Writes `$OUT_DIR/methods.rs` from the folder `methods` beside the `Cargo.toml`.
///
/// Cargo runs the build script again when a file or folder of the tree is changed, added or removed. If the tree has errors, Cargo
/// shows each of them and the build fails.
///
/// With the application's feature `dev`, it prepares the build for development mode. Where methods can be loaded into a running server
/// (Linux with glibc, unless `SIMPLEAPI_DEV=restart` is set), the table stays empty.
///
/// If `contract.json` is beside the `Cargo.toml`, changes that break callers are warnings, or errors if `SIMPLEAPI_CONTRACT=deny` is set.
///
/// # Panics
/// Panics if it is not called from a build script.
pub fn generate() {
    let methods = PathBuf::from(cargo_variable("CARGO_MANIFEST_DIR")).join("methods");
    let target = PathBuf::from(cargo_variable("OUT_DIR")).join("methods.rs");
    let source = development().map_err(|error| vec![error]).and_then(|development| {
        let texts = |problems: Vec<Problem>| problems.iter().map(Problem::to_string).collect::<Vec<_>>();
        let migrations = migrations(methods.parent().unwrap_or(&methods)).map_err(texts)?;
        if let Some(development) = development.as_ref().filter(|development| development.reloads) {
            instruct_cargo("rerun-if-changed", "build.rs");
            return Ok(without_methods(&methods, &migrations, development));
        }
        watch(&methods);
        let tree = read(&methods, package()).map_err(texts)?;
        let changes = changes_of_contract(&methods.with_file_name(LOCK_FILE), &tree.contract())?;
        if !changes.is_empty() && env::var("SIMPLEAPI_CONTRACT").is_ok_and(|value| value == "deny") {
            return Err(texts(changes));
        }
        for change in changes {
            instruct_cargo("warning", &change.to_string());
        }
        Ok(tree.source(&migrations, development.as_ref()))
    });
    let written = source.and_then(|source| {
        fs::write(&target, source).map_err(|error| vec![format!("cannot write {}: {error}", target.display())])
    });
    if let Err(errors) = written {
        for error in errors {
            instruct_cargo("error", &error);
        }
        process::exit(1);
    }
}

/// Returns the source of a program that loads its methods. Only the function `start` is part of it, and the errors of its file are rustc's.
fn without_methods(methods: &Path, migrations: &[Migration], development: &Development) -> String {
    let start = methods.join("_start.rs");
    if !start.is_file() {
        return write::source(&[], &[], &Contract::empty(package()), migrations, Some(development));
    }
    instruct_cargo("rerun-if-changed", &start.to_string_lossy());
    TreeReader::new(methods, package()).read().source_without_methods(migrations, development)
}

/// Reads the migrations, and has Cargo watch their folder, if there is one.
fn migrations(package: &Path) -> Result<Vec<Migration>, Vec<Problem>> {
    if package.join(MIGRATIONS_FOLDER).is_dir() {
        watch(&package.join(MIGRATIONS_FOLDER));
    }
    read_migrations(package)
}

/// Returns the changes that break callers since the lock was written, if there is one.
fn changes_of_contract(lock: &Path, contract: &Contract) -> Result<Vec<Problem>, Vec<String>> {
    instruct_cargo("rerun-if-env-changed", "SIMPLEAPI_CONTRACT");
    let Ok(text) = fs::read_to_string(lock) else { return Ok(Vec::new()) };
    // Only a file that exists: otherwise Cargo would run the build script each time.
    instruct_cargo("rerun-if-changed", LOCK_FILE);
    let invalid = |error| vec![format!("{LOCK_FILE}: {error}; `server contract accept` writes it again")];
    contract.breaking_changes(&text).map_err(invalid)
}

fn package() -> Package {
    let text = |variable: &str| env::var(variable).unwrap_or_default();
    let features = text("CARGO_CFG_FEATURE");
    let features = features.split(',').filter(|feature| !feature.is_empty()).map(str::to_owned).collect();
    Package { name: text("CARGO_PKG_NAME"), version: text("CARGO_PKG_VERSION"), features }
}

/// Returns `None` unless this is a build for development mode. Gives Cargo the linker's arguments for it.
fn development() -> Result<Option<Development>, String> {
    if env::var_os("CARGO_FEATURE_DEV").is_none() {
        return Ok(None);
    }
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        return Err(
            "development mode is never part of a release build; build without `--release` or without the feature `dev`"
                .to_owned(),
        );
    }
    instruct_cargo("rerun-if-env-changed", "SIMPLEAPI_DEV");
    let is = |variable: &str, expected: &str| env::var(variable).is_ok_and(|value| value == expected);
    let can_load = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    let rustc = |arguments: &[&str]| {
        let output = process::Command::new(cargo_variable("RUSTC")).args(arguments).output();
        let output = output.map_err(|error| format!("cannot run rustc: {error}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
    };
    if can_load {
        // The folders of the SDK's and of Rust's own shared libraries, for a server that is started without Cargo. The loader searches
        // them before LD_LIBRARY_PATH, through which Cargo would give the server of one application the library of another.
        let libraries = rustc(&["--print", "target-libdir"])?;
        let argument = format!("-Wl,--disable-new-dtags,-rpath,$ORIGIN:$ORIGIN/deps:{libraries}");
        instruct_cargo("rustc-link-arg-bins", &argument);
    }
    let features = env::var("CARGO_CFG_FEATURE").unwrap_or_default();
    let reloads = can_load && !is("SIMPLEAPI_DEV", "restart");
    Ok(Some(Development { features, rustc: rustc(&["-vV"])?, reloads }))
}

fn cargo_variable(variable: &str) -> std::ffi::OsString {
    env::var_os(variable).expect("Cargo sets the variable for every build script")
}

/// Has Cargo watch everything in the tree, and the folder itself even if it does not exist yet.
fn watch(methods: &Path) {
    instruct_cargo("rerun-if-changed", &methods.to_string_lossy());
    for entry in WalkDir::new(methods).min_depth(1).into_iter().flatten() {
        // Cargo takes no name that is not UTF-8, but it watches the folder of such a file.
        if let Some(path) = entry.path().to_str() {
            instruct_cargo("rerun-if-changed", path);
        }
    }
}

#[expect(clippy::print_stdout, reason = "a build script instructs Cargo on standard output")]
fn instruct_cargo(instruction: &str, value: &str) {
    // A file name may contain a line break, and a new line would be a new instruction.
    println!("cargo::{instruction}={}", value.replace(['\n', '\r'], " "));
}
