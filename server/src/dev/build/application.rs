//! The application as Cargo knows it: how to build it again, and the flags with which its methods are compiled.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::iter::successors;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
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
        let mut cargo = self.cargo_in_this_build("build");
        if let Some(name) = self.program.file_name() {
            cargo.arg("--bin").arg(name);
        }
        cargo
    }

    /// Returns a command of Cargo for the profile, the platform and the target folder of this program.
    fn cargo_in_this_build(&self, command: &str) -> Command {
        let mut cargo = self.cargo(command);
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
        let variables: BTreeMap<_, _> =
            env::vars_os().filter(|(name, _)| is_about_builds(&name.to_string_lossy())).collect();
        let configuration = self.cargo_configuration();
        let build = || {
            let stamps: Vec<_> = configuration.iter().map(|file| FileStamp::of(file)).collect();
            format!("{:?} {stamps:?} {variables:?}", FileStamp::of(&self.program))
        };
        let build_before = build();
        let stored = fs::read(&file).ok().and_then(|text| serde_json::from_slice::<(String, Flags)>(&text).ok());
        let is_valid =
            |(build, flags): &(String, Flags)| *build == build_before && flags.files.iter().all(|file| file.is_file());
        if let Some((_, flags)) = stored.filter(is_valid) {
            return Ok(flags);
        }
        let flags = self.query_cargo()?;
        // If another build has replaced the program, the flags are not those of this process.
        if build() == build_before {
            // If this fails, the next start is slower.
            let _ = serde_json::to_vec(&(build_before, &flags)).map(|text| fs::write(&file, text));
        }
        Ok(flags)
    }

    /// Returns the files, existing or not, that Cargo reads its configuration and its compiler's version from.
    pub(crate) fn cargo_configuration(&self) -> Vec<PathBuf> {
        let home = env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cargo")));
        let of_home = home.iter().flat_map(|home| ["config.toml", "config"].map(|name| home.join(name)));
        let names = [".cargo/config.toml", ".cargo/config", "rust-toolchain.toml", "rust-toolchain"];
        let folders = successors(Some(&*self.directory), |folder| folder.parent());
        folders.flat_map(|folder| names.map(|name| folder.join(name))).chain(of_home).collect()
    }

    /// Lists the flags with Cargo. Dependencies that are up to date are not built again.
    fn query_cargo(&self) -> Result<Flags, ToolError> {
        let query_metadata = || {
            let metadata = output(self.cargo("metadata").args(["--format-version=1", "--quiet"]))?;
            serde_json::from_str::<Value>(&metadata).map_err(|error| unreadable("cargo metadata", &error))
        };
        let (printed, metadata) = thread::scope(|scope| {
            let metadata = scope.spawn(query_metadata);
            let mut rustc = self.cargo_in_this_build("rustc");
            let printed = run(rustc.args(["--lib", "-vv", "--color=never", "--", flags::PRINT]));
            (printed, metadata.join().unwrap_or_else(|_| Err(unreadable("cargo metadata", &"a panic"))))
        });
        let printed = String::from_utf8(printed?.stderr).map_err(|error| unreadable("cargo rustc", &error))?;
        flags::parse(&metadata?, &printed)
            .ok_or_else(|| unreadable("cargo rustc", &"it has not printed rustc's arguments"))
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

/// Returns `true` for the variables that Cargo reads its configuration from.
fn is_about_builds(name: &str) -> bool {
    let is_set_by_cargo = CARGO_RUN_VARIABLES.iter().any(|prefix| name.starts_with(prefix));
    name.starts_with("RUST") || (name.starts_with("CARGO_") && !is_set_by_cargo)
}

/// Runs `command`, which is to succeed.
fn run(command: &mut Command) -> Result<Output, ToolError> {
    let name = command_name(command);
    let output = command.output().map_err(|source| ToolError::Run { command: name.clone(), source })?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(ToolError::Failed { command: name, stderr });
    }
    Ok(output)
}

/// Runs `command` and returns its standard output.
fn output(command: &mut Command) -> Result<String, ToolError> {
    let output = run(command)?;
    String::from_utf8(output.stdout).map_err(|error| unreadable(&command_name(command), &error))
}

/// Returns the program and the first argument.
fn command_name(command: &Command) -> String {
    format!("{} {}", command.get_program().display(), command.get_args().next().unwrap_or_default().display())
}

fn unreadable(command: &str, reason: &dyn std::fmt::Display) -> ToolError {
    ToolError::Output { command: command.to_owned(), reason: reason.to_string() }
}
