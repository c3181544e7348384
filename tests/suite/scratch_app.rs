//! An application that a test makes, changes and builds.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use tempfile::TempDir;

use crate::support::{Server, cargo, directory, fixtures_target, root};

/// A method that says `TEXT`.
pub(crate) const SAYS: &str = "use method_sdk::prelude::*;
pub async fn invoke(_: &mut Handler, _: ()) -> Result<&'static str> { Ok(\"TEXT\") }
";

/// An application of its own, to be changed. It has a name of its own, so that its binary is its own too.
pub(crate) struct Scratch {
    pub(crate) directory: Arc<TempDir>,
    name: &'static str,
}

impl Scratch {
    pub(crate) fn new(name: &'static str) -> Self {
        let directory = directory();
        let scratch = Scratch { directory, name };
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

    /// The same, to be told more.
    pub(crate) fn command(&self, command: &str) -> Command {
        let mut cargo = cargo(self.directory.path(), command);
        cargo.arg("--offline");
        cargo
    }

    /// Where its debug build is.
    pub(crate) fn binary(&self) -> PathBuf {
        fixtures_target().join("debug").join(self.name)
    }

    pub(crate) fn build_and_start(&self) -> Server {
        let output = self.cargo("build");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Server::start_in(&directory(), &self.binary(), &[])
    }

    /// The first lines of errors, without the crate's name before those of a build script.
    pub(crate) fn errors(&self) -> Vec<String> {
        let output = self.cargo("check");
        assert!(!output.status.success(), "it must not build");
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
