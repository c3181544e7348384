//! The application as Cargo knows it: how to build it again, and the flags with which its methods are compiled.

use std::env;
use std::fs;
use std::iter::successors;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use method_sdk::Development;
use serde_json::Value;

use super::error::ToolError;
use super::flags::{self, Flags};
use crate::dev::sdk::FileStamp;

/// The prefixes of variables that Cargo sets for the programs that it runs.
const CARGO_RUN_VARIABLES: [&str; 5] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_NAME", "CARGO_BIN_NAME", "CARGO_PRIMARY_PACKAGE"];

/// An application that Cargo builds.
#[derive(Clone)]
pub(crate) struct Application {
    pub(crate) directory: PathBuf,
    features: &'static str,
    /// The program of this process, which a rebuild replaces.
    pub(crate) program: PathBuf,
}

impl Application {
    pub(crate) fn new(development: &Development) -> Result<Self, ToolError> {
        let program = env::current_exe().map_err(ToolError::Program)?;
        Ok(Application { directory: development.directory.into(), features: development.features, program })
    }

    /// Returns the folder of methods.
    pub(crate) fn methods(&self) -> PathBuf {
        self.directory.join("methods")
    }

    /// Returns the folder of files that later starts use.
    pub(crate) fn cache_folder(&self) -> PathBuf {
        self.program.with_file_name("simpleapi-dev")
    }

    /// Returns the `cargo build` command that builds this program again.
    pub(crate) fn build(&self) -> Command {
        let mut cargo = self.cargo("build");
        if let Some(name) = self.program.file_name() {
            cargo.arg("--bin").arg(name);
        }
        let profile = self.program.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        let target = self.program.parent().and_then(Path::parent);
        let parents: Vec<&Path> = successors(target, |folder| folder.parent()).take(2).collect();
        // Cargo marks a target folder. Below it is the profile's folder, or the platform's with the profile's in it if one was named.
        if let (Some(profile), Some(depth)) =
            (profile, parents.iter().position(|folder| folder.join("CACHEDIR.TAG").is_file()))
        {
            cargo.args(["--profile", if profile == "debug" { "dev" } else { profile }]);
            cargo.arg("--target-dir").arg(parents[depth]);
            if depth == 1 {
                cargo.arg("--target").args(parents[0].file_name());
            }
        }
        cargo
    }

    /// Returns the flags of this build. Cargo takes a second to list them, so they are stored in a file.
    ///
    /// # Errors
    /// Cargo fails.
    pub(crate) fn flags(&self) -> Result<Flags, ToolError> {
        let file = self.cache_folder().join(self.program.file_stem().unwrap_or_default()).with_extension("json");
        let build = || format!("{:?} {:?}", FileStamp::of(&self.program), env::var_os("RUSTFLAGS"));
        let build_before = build();
        let stored = fs::read(&file).ok().and_then(|text| serde_json::from_slice::<(String, Flags)>(&text).ok());
        let is_valid =
            |(build, flags): &(String, Flags)| *build == build_before && flags.files.iter().all(|file| file.is_file());
        if let Some((_, flags)) = stored.filter(is_valid) {
            return Ok(flags);
        }
        let flags = self.query_cargo()?;
        // If the program was out of date, Cargo has replaced it, and the flags are not those of this process.
        if build() == build_before {
            // If this fails, the next start is slower.
            let _ = serde_json::to_vec(&(build_before, &flags)).map(|text| fs::write(&file, text));
        }
        Ok(flags)
    }

    /// Lists the flags with Cargo. A program that is up to date is not built again.
    fn query_cargo(&self) -> Result<Flags, ToolError> {
        let query_metadata = || {
            let metadata = output(self.cargo("metadata").args(["--format-version=1", "--quiet"]))?;
            serde_json::from_str::<Value>(&metadata).map_err(|error| unreadable("cargo metadata", &error))
        };
        let (built, metadata) = thread::scope(|scope| {
            let metadata = scope.spawn(query_metadata);
            let built = output(self.build().args(["--quiet", "--message-format=json-render-diagnostics"]));
            (built, metadata.join().unwrap_or_else(|_| Err(unreadable("cargo metadata", &"a panic"))))
        });
        let messages: Vec<Value> = built?.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let mut flags = flags::parse(&metadata?, &messages);
        for feature in self.features.split(',').filter(|feature| !feature.is_empty()) {
            flags.arguments.extend(["--cfg".to_owned(), format!("feature={feature:?}")]);
        }
        flags.arguments.extend(env::var("RUSTFLAGS").unwrap_or_default().split_whitespace().map(str::to_owned));
        Ok(flags)
    }

    fn cargo(&self, command: &str) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.arg(command).args(["--no-default-features", "--features", self.features]);
        cargo.arg("--manifest-path").arg(self.directory.join("Cargo.toml"));
        cargo.current_dir(&self.directory).stdin(Stdio::null());
        // `cargo run` has set these variables for this program. Build scripts may read them: they would run again, and all packages that
        // depend on theirs would be built again.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if name == "OUT_DIR" || CARGO_RUN_VARIABLES.iter().any(|prefix| name.starts_with(prefix)) {
                cargo.env_remove(&*name);
            }
        }
        cargo
    }

    /// Returns the path of the compiler that Cargo uses, not that of rustup's proxy, and the output of its `-vV`.
    ///
    /// # Errors
    /// rustc cannot be run.
    pub(crate) fn rustc(&self) -> Result<(PathBuf, String), ToolError> {
        let configured = PathBuf::from(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        let rustc = |program: &Path, argument: &[&str]| {
            output(Command::new(program).args(argument).current_dir(&self.directory))
        };
        let direct = PathBuf::from(rustc(&configured, &["--print", "sysroot"])?.trim()).join("bin/rustc");
        let program = if direct.is_file() { direct } else { configured };
        let version = rustc(&program, &["-vV"])?;
        Ok((program, version))
    }
}

/// Runs `command` and returns its standard output.
fn output(command: &mut Command) -> Result<String, ToolError> {
    let name =
        format!("{} {}", command.get_program().display(), command.get_args().next().unwrap_or_default().display());
    let output = command.output().map_err(|source| ToolError::Run { command: name.clone(), source })?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(ToolError::Failed { command: name, stderr });
    }
    String::from_utf8(output.stdout).map_err(|error| unreadable(&name, &error))
}

fn unreadable(command: &str, reason: &dyn std::fmt::Display) -> ToolError {
    ToolError::Output { command: command.to_owned(), reason: reason.to_string() }
}
