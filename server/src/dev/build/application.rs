//! What Cargo knows of the application: how to build it again, and with what a method is compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use method_sdk::Development;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dev::load::sdk::FileStamp;

/// What begins the names of variables that Cargo sets for the programs that it runs.
const TOLD_BY_CARGO: [&str; 5] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_NAME", "CARGO_BIN_NAME", "CARGO_PRIMARY_PACKAGE"];

/// The application, as Cargo builds it.
#[derive(Clone)]
pub(crate) struct Application {
    pub(crate) directory: PathBuf,
    features: &'static str,
    /// This process's own program, which a rebuild replaces.
    pub(crate) program: PathBuf,
}

/// What rustc is to be told of the application when it compiles a part of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Flags {
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// The libraries among the arguments.
    files: BTreeSet<PathBuf>,
    /// The folders of the packages that are not from a registry: the application, and those it names by path.
    pub(crate) packages: BTreeSet<PathBuf>,
}

impl Application {
    pub(crate) fn new(development: &Development) -> Result<Self, String> {
        let program =
            env::current_exe().map_err(|error| format!("the server does not find its own program: {error}"))?;
        Ok(Application { directory: development.directory.into(), features: development.features, program })
    }

    /// The folder of methods.
    pub(crate) fn methods(&self) -> PathBuf {
        self.directory.join("methods")
    }

    /// Where things are kept from one start to the next.
    pub(crate) fn kept(&self) -> PathBuf {
        self.program.with_file_name("simpleapi-dev")
    }

    /// `cargo build`, as this program was built.
    pub(crate) fn build(&self) -> Command {
        let mut cargo = self.cargo("build");
        if let Some(name) = self.program.file_name() {
            cargo.arg("--bin").arg(name);
        }
        let profile = self.program.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        let above: Vec<&Path> = self.program.ancestors().skip(2).take(2).collect();
        // Cargo marks a target folder. Below it is a folder for the profile, or first one for the platform if that was named.
        if let (Some(profile), Some(depth)) =
            (profile, above.iter().position(|folder| folder.join("CACHEDIR.TAG").is_file()))
        {
            cargo.args(["--profile", if profile == "debug" { "dev" } else { profile }]);
            cargo.arg("--target-dir").arg(above[depth]);
            if depth == 1 {
                cargo.arg("--target").args(above[0].file_name());
            }
        }
        cargo
    }

    /// What Cargo knows of how the application is built. It takes a second to tell, and so is asked once for each build.
    pub(crate) fn flags(&self) -> Result<Flags, String> {
        let file = self.kept().join(self.program.file_stem().unwrap_or_default()).with_extension("json");
        let build = || format!("{:?} {:?}", FileStamp::of(&self.program), env::var_os("RUSTFLAGS"));
        let asked_of = build();
        let known = fs::read(&file).ok().and_then(|text| serde_json::from_slice::<(String, Flags)>(&text).ok());
        let is_valid = |(of, flags): &(String, Flags)| *of == asked_of && flags.files.iter().all(|file| file.is_file());
        if let Some((_, flags)) = known.filter(is_valid) {
            return Ok(flags);
        }
        let flags = self.ask()?;
        // If the application was not up to date, it is by now, and this process is not.
        if build() == asked_of {
            // Without it the next start is slower, and that is all.
            let _ = serde_json::to_vec(&(asked_of, &flags)).map(|text| fs::write(&file, text));
        }
        Ok(flags)
    }

    /// Asks Cargo; a program that is up to date is not built anew by that.
    fn ask(&self) -> Result<Flags, String> {
        let ask_for_metadata = || {
            let metadata = output(self.cargo("metadata").args(["--format-version=1", "--quiet"]))?;
            serde_json::from_str::<Value>(&metadata).map_err(|error| format!("cargo metadata: {error}"))
        };
        let (built, metadata) = thread::scope(|scope| {
            let metadata = scope.spawn(ask_for_metadata);
            let built = output(self.build().args(["--quiet", "--message-format=json-render-diagnostics"]));
            (built, metadata.join().unwrap_or_else(|_| Err("reading what Cargo says panicked".to_owned())))
        });
        let messages: Vec<Value> = built?.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let mut flags = flags(&metadata?, &messages);
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
        // What `cargo run` has told this program of itself. Build scripts may look at that, and would be run again, and with them what
        // depends on their packages built.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if name == "OUT_DIR" || TOLD_BY_CARGO.iter().any(|prefix| name.starts_with(prefix)) {
                cargo.env_remove(&*name);
            }
        }
        cargo
    }

    /// The compiler that Cargo uses, itself and not the one of rustup that looks for it each time, and what `-vV` says of it.
    pub(crate) fn rustc(&self) -> Result<(PathBuf, String), String> {
        let named = PathBuf::from(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        let rustc = |program: &Path, argument: &[&str]| {
            output(Command::new(program).args(argument).current_dir(&self.directory))
        };
        let direct = PathBuf::from(rustc(&named, &["--print", "sysroot"])?.trim()).join("bin/rustc");
        let program = if direct.is_file() { direct } else { named };
        let version = rustc(&program, &["-vV"])?;
        Ok((program, version))
    }
}

/// What `command` prints.
fn output(command: &mut Command) -> Result<String, String> {
    let shown =
        format!("{} {}", command.get_program().display(), command.get_args().next().unwrap_or_default().display());
    let output = command.output().map_err(|error| format!("cannot run {shown}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{shown} failed: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("{shown}: {error}"))
}

/// The same from what `cargo metadata` and `cargo build` have said.
fn flags(metadata: &Value, messages: &[Value]) -> Flags {
    let root = &metadata["resolve"]["root"];
    let packages = array(&metadata["packages"]);
    let own = packages.iter().find(|package| package["id"] == *root).unwrap_or(&Value::Null);
    let mut flags = Flags::default();
    flags.arguments.extend(["--edition", own["edition"].as_str().unwrap_or("2024")].map(str::to_owned));
    for (variable, member) in [("CARGO_PKG_NAME", "name"), ("CARGO_PKG_VERSION", "version")] {
        flags.environment.extend(own[member].as_str().map(|value| (variable.to_owned(), value.to_owned())));
    }

    for (name, file) in externs(metadata, messages) {
        flags.arguments.extend(["--extern".to_owned(), format!("{name}={file}")]);
        flags.files.insert(file.into());
    }
    for message in messages.iter().filter(|message| message["reason"] == "build-script-executed") {
        for path in strings(&message["linked_paths"]) {
            let path = if path.contains('=') { path.to_owned() } else { format!("native={path}") };
            flags.arguments.extend(["-L".to_owned(), path]);
        }
        if message["package_id"] != *root {
            continue;
        }
        for cfg in strings(&message["cfgs"]) {
            flags.arguments.extend(["--cfg".to_owned(), cfg.to_owned()]);
        }
        let pairs = array(&message["env"]).iter().map(|pair| (strings(pair).next(), strings(pair).nth(1)));
        flags.environment.extend(pairs.filter_map(|(name, value)| Some((name?.to_owned(), value?.to_owned()))));
        flags.environment.extend(message["out_dir"].as_str().map(|folder| ("OUT_DIR".to_owned(), folder.to_owned())));
    }
    let folders: BTreeSet<&Path> =
        artifacts(messages).flat_map(|(_, files)| files).filter_map(|file| Path::new(file).parent()).collect();
    for folder in folders {
        flags.arguments.extend(["-L".to_owned(), format!("dependency={}", folder.display())]);
    }
    let local = packages.iter().filter(|package| package["source"].is_null());
    let folders = local.filter_map(|package| Path::new(package["manifest_path"].as_str()?).parent());
    flags.packages = folders.map(Path::to_owned).collect();
    flags
}

/// The application's own dependencies: the name by which it knows each, and its file. Not method-sdk, which is the shared library.
fn externs<'a>(metadata: &'a Value, messages: &'a [Value]) -> BTreeMap<&'a str, &'a str> {
    let resolve = &metadata["resolve"];
    let root = array(&resolve["nodes"]).iter().find(|node| node["id"] == resolve["root"]);
    let dependencies = root.map(|root| array(&root["deps"])).unwrap_or_default();
    let is_normal = |dependency: &&Value| array(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
    let named = dependencies.iter().filter(is_normal).filter_map(|dependency| {
        let name = dependency["name"].as_str().filter(|name| *name != "method_sdk")?;
        // A package that a build script needs too may be built twice. Cargo does not say which is which, but what is only for the
        // build has no debug information, and mostly fewer features.
        let of_package = artifacts(messages).filter(|(artifact, _)| artifact["package_id"] == dependency["pkg"]);
        let (_, files) = of_package.max_by_key(|(artifact, _)| {
            (artifact["profile"]["debuginfo"].as_u64(), array(&artifact["features"]).len())
        })?;
        let file = files.into_iter().find(|file| !file.ends_with(".rmeta"))?;
        Some((name, file))
    });
    named.collect()
}

/// The libraries that were built, or were there already, each with its files.
fn artifacts(messages: &[Value]) -> impl Iterator<Item = (&Value, Vec<&str>)> {
    let is_library = |kind: &str| ["lib", "rlib", "dylib", "proc-macro"].contains(&kind);
    messages
        .iter()
        .filter(move |message| {
            message["reason"] == "compiler-artifact" && strings(&message["target"]["kind"]).any(is_library)
        })
        .map(|message| (message, strings(&message["filenames"]).collect()))
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    array(value).iter().filter_map(Value::as_str)
}
