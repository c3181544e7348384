//! An application that a test creates, changes and builds.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use tempfile::TempDir;

use crate::support::{Process, directory, root};

/// Copies the files of a folder, and of the folders in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// A method that returns `TEXT`.
pub(crate) const TEXT_METHOD: &str = "use method_sdk::prelude::*;
pub async fn invoke(_: &mut Handler, _: ()) -> Result<&'static str> { Ok(\"TEXT\") }
";

/// One target folder for everything that tests build, so that dependencies are built once.
pub(crate) fn fixtures_target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixtures")
}

/// A cargo command on another application.
pub(crate) fn cargo(directory: &Path, command: &str) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.arg(command).current_dir(directory).env("CARGO_TARGET_DIR", fixtures_target());
    cargo.env_remove("RUSTFLAGS").env("CARGO_TERM_COLOR", "never");
    // Cargo's variables for this test: a build script that reads one would run again each time.
    cargo.env_remove("OUT_DIR");
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
    {
        cargo.env_remove(name);
    }
    cargo
}

/// The compiler of the tests.
pub(crate) fn rustc() -> PathBuf {
    Path::new(env!("CARGO")).with_file_name("rustc")
}

/// An application in a temporary folder. Its name is a test's own, and so is its program in the shared target folder.
pub(crate) struct Scratch {
    pub(crate) directory: Arc<TempDir>,
    name: String,
}

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let scratch = Scratch { directory: directory(), name: name.to_owned() };
        let app = root().join("tests/fixtures/app");
        let manifest = std::fs::read_to_string(app.join("Cargo.toml")).unwrap();
        let manifest =
            manifest.replace("../../..", root().to_str().unwrap()).replace("\"fixture\"", &format!("\"{name}\""));
        scratch.write("Cargo.toml", &manifest);
        scratch.write("build.rs", &std::fs::read_to_string(app.join("build.rs")).unwrap());
        scratch.write("src/lib.rs", &std::fs::read_to_string(app.join("src/lib.rs")).unwrap());
        let main = std::fs::read_to_string(app.join("src/main.rs")).unwrap();
        scratch.write("src/main.rs", &main.replace("fixture::", &format!("{name}::")));
        scratch.write(".cargo/config.toml", &std::fs::read_to_string(app.join(".cargo/config.toml")).unwrap());
        std::fs::copy(root().join("Cargo.lock"), scratch.path("Cargo.lock")).unwrap();
        std::fs::create_dir(scratch.path("methods")).unwrap();
        scratch
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn cargo(&self, command: &str) -> Output {
        self.command(command).output().unwrap()
    }

    /// A cargo command on the application.
    pub(crate) fn command(&self, command: &str) -> Command {
        let mut cargo = cargo(self.directory.path(), command);
        cargo.arg("--offline");
        cargo
    }

    /// The program of its debug build.
    pub(crate) fn binary(&self) -> PathBuf {
        fixtures_target().join("debug").join(&self.name)
    }

    pub(crate) fn build_and_start(&self) -> Process {
        let output = self.cargo("build");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Process::start(&directory(), &self.binary(), &[])
    }

    /// Checks the application and returns the first line of each error, without the package that Cargo puts before a build script's.
    pub(crate) fn errors(&self) -> Vec<String> {
        let output = self.cargo("check");
        assert!(!output.status.success(), "the application must not build");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let script = format!("error: {}@0.1.0: ", self.name);
        let first = |line: &str| {
            let (kind, sentence) =
                line.strip_prefix(&script).map(|rest| ("error", rest)).or_else(|| line.split_once(": "))?;
            kind.starts_with("error").then(|| sentence.to_owned())
        };
        text.lines().filter_map(first).collect()
    }
}
