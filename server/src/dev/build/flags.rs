//! The flags with which rustc compiles parts of the application, from what Cargo prints.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The arguments and the environment with which rustc compiles parts of the application.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Flags {
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// The libraries among the arguments.
    pub(super) files: BTreeSet<PathBuf>,
    /// The folders of the packages that are not from a registry: the application and its path dependencies.
    pub(crate) packages: BTreeSet<PathBuf>,
}

/// Reads the flags from the output of `cargo metadata` and the messages of `cargo build`.
pub(super) fn parse(metadata: &Value, messages: &[Value]) -> Flags {
    let root = &metadata["resolve"]["root"];
    let packages = array(&metadata["packages"]);
    let package = packages.iter().find(|package| package["id"] == *root).unwrap_or(&Value::Null);
    let mut flags = Flags::default();
    flags.arguments.extend(["--edition", package["edition"].as_str().unwrap_or("2024")].map(str::to_owned));
    for (variable, member) in [("CARGO_PKG_NAME", "name"), ("CARGO_PKG_VERSION", "version")] {
        flags.environment.extend(package[member].as_str().map(|value| (variable.to_owned(), value.to_owned())));
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
    let built = packages_of_build(&metadata["resolve"]);
    let is_local = |package: &&Value| package["source"].is_null() && built.contains(&package["id"].as_str());
    let local = packages.iter().filter(is_local);
    let folders = local.filter_map(|package| Path::new(package["manifest_path"].as_str()?).parent());
    flags.packages = folders.map(Path::to_owned).collect();
    flags
}

/// Returns the ids of the packages that a build of the application compiles, which those of its tests are not.
fn packages_of_build(resolve: &Value) -> BTreeSet<Option<&str>> {
    let mut ids = BTreeSet::new();
    let mut open = vec![&resolve["root"]];
    while let Some(id) = open.pop() {
        if ids.insert(id.as_str()) {
            let node = array(&resolve["nodes"]).iter().find(|node| node["id"] == *id);
            let dependencies = node.map(|node| array(&node["deps"])).unwrap_or_default();
            let is_built =
                |dependency: &&Value| array(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
            open.extend(dependencies.iter().filter(is_built).map(|dependency| &dependency["pkg"]));
        }
    }
    ids
}

/// Returns the application's direct dependencies by the names in its sources, each with its file. method-sdk is the shared library instead.
fn externs<'a>(metadata: &'a Value, messages: &'a [Value]) -> BTreeMap<&'a str, &'a str> {
    let resolve = &metadata["resolve"];
    let root = array(&resolve["nodes"]).iter().find(|node| node["id"] == resolve["root"]);
    let dependencies = root.map(|root| array(&root["deps"])).unwrap_or_default();
    let is_normal = |dependency: &&Value| array(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
    let externs = dependencies.iter().filter(is_normal).filter_map(|dependency| {
        let name = dependency["name"].as_str().filter(|name| *name != "method_sdk")?;
        // A package that a build script also needs may be built twice. Cargo does not tell the two apart, but the build script's has no
        // debug information, and mostly fewer features.
        let of_package = artifacts(messages).filter(|(artifact, _)| artifact["package_id"] == dependency["pkg"]);
        let (_, files) = of_package.max_by_key(|(artifact, _)| {
            (artifact["profile"]["debuginfo"].as_u64(), array(&artifact["features"]).len())
        })?;
        let file = files.into_iter().find(|file| !file.ends_with(".rmeta"))?;
        Some((name, file))
    });
    externs.collect()
}

/// Returns the messages of libraries, built now or before, each with its files.
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
