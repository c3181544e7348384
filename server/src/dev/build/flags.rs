//! The flags with which rustc compiles methods: those with which Cargo runs it for the application's library, which methods are modules of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The argument of rustc that [`parse`] recognizes a command by. With it, rustc compiles nothing.
pub(super) const PRINT: &str = "--print=crate-name";

/// The text that Cargo prints before a command, and the one after it.
const COMMAND: [&str; 2] = ["     Running `", "`\n"];

/// Arguments with a value of their own.
const WITH_VALUE: [&str; 13] = [
    "-A",
    "-C",
    "-D",
    "-F",
    "-L",
    "-W",
    "-Z",
    "--cfg",
    "--check-cfg",
    "--crate-name",
    "--crate-type",
    "--extern",
    "--out-dir",
];

/// Arguments about the output of a build, and those that are only for speed or for debuggers.
const DROPPED: [&str; 3] = ["--crate-type", "--out-dir", PRINT];
const DROPPED_PREFIXES: [&str; 4] = ["--emit=", "--error-format=", "--json=", "--forbid=unsafe_code"];
const DROPPED_CODEGEN: [&str; 9] = [
    "debuginfo=",
    "embed-bitcode=",
    "extra-filename=",
    "incremental=",
    "linker-plugin-lto",
    "lto",
    "metadata=",
    "split-debuginfo=",
    "strip=",
];

/// Variables in Cargo's commands that are not for rustc.
const NOT_FOR_RUSTC: [&str; 2] = ["CARGO", "LD_LIBRARY_PATH"];

/// The arguments and the environment with which rustc compiles methods.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flags {
    /// The root of the application's library.
    pub(crate) root: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    /// The linker that Cargo's configuration names.
    pub(crate) linker: Option<String>,
    /// The libraries among the arguments.
    pub(super) files: BTreeSet<PathBuf>,
    /// The folders of the packages that are not from a registry: the application and its path dependencies.
    pub(crate) packages: BTreeSet<PathBuf>,
    /// The folder in which Cargo runs rustc.
    pub(crate) workspace: PathBuf,
}

/// Reads the flags from the output of `cargo metadata`, and from what `cargo rustc -vv` prints to standard error. Returns `None` if that
/// contains no command with the argument [`PRINT`].
pub(super) fn parse(metadata: &Value, printed: &str) -> Option<Flags> {
    let workspace = PathBuf::from(metadata["workspace_root"].as_str()?);
    let mut flags = Flags { packages: packages(metadata), workspace, ..Flags::default() };
    let mut commands =
        printed.split(COMMAND[0]).skip(1).filter_map(|text| shlex::split(text.rsplit_once(COMMAND[1])?.0));
    let command = commands.find(|words| words.iter().any(|word| word == PRINT))?;

    let is_variable = |word: &String| word.split_once('=').is_some_and(|(name, _)| !name.contains(['/', '-']));
    let (variables, rustc) = command.split_at(command.iter().position(|word| !is_variable(word))?);
    let variables = variables.iter().filter_map(|word| word.split_once('='));
    flags.environment = variables
        .filter(|(name, _)| !NOT_FOR_RUSTC.contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();

    let mut words = rustc.iter().skip(1).map(String::as_str);
    while let Some(word) = words.next() {
        let value = if WITH_VALUE.contains(&word) { words.next() } else { None };
        flags.add(word, value);
    }
    Some(flags)
}

impl Flags {
    /// Returns the edition of Rust that the application is written in.
    pub(crate) fn edition(&self) -> &str {
        // Cargo names it, unless it is the first.
        self.arguments.iter().find_map(|argument| argument.strip_prefix("--edition=")).unwrap_or("2015")
    }

    fn add(&mut self, argument: &str, value: Option<&str>) {
        match (argument, value) {
            ("--extern", Some(library)) => self.add_library(library),
            ("-C", Some(option)) if option.starts_with("linker=") => {
                self.linker = option.strip_prefix("linker=").map(str::to_owned);
            }
            ("-C", Some(option)) if DROPPED_CODEGEN.iter().any(|dropped| option.starts_with(dropped)) => {}
            (_, None) if !argument.starts_with('-') && argument.ends_with(".rs") => {
                self.root = self.workspace.join(argument)
            }
            _ if DROPPED.contains(&argument) || DROPPED_PREFIXES.iter().any(|prefix| argument.starts_with(prefix)) => {}
            _ => self.arguments.extend([argument].into_iter().chain(value).map(str::to_owned)),
        }
    }

    /// Adds a dependency, such as `serde=/target/libserde-1.rmeta`. method-sdk is the shared library instead.
    fn add_library(&mut self, library: &str) {
        let Some((name, file)) = library.split_once('=') else { return };
        if name == "method_sdk" {
            return;
        }
        // Cargo names the file that suffices for a library, but the linker needs the one with the code.
        let file = Path::new(file);
        let with_code = file.with_extension("rlib");
        let file = if file.extension().is_some_and(|extension| extension == "rmeta") { &with_code } else { file };
        self.arguments.extend(["--extern".to_owned(), format!("{name}={}", file.display())]);
        self.files.insert(file.to_owned());
    }
}

/// Returns the folders of the packages that a build of the application compiles and that are not from a registry.
fn packages(metadata: &Value) -> BTreeSet<PathBuf> {
    let built = packages_of_build(&metadata["resolve"]);
    let is_local = |package: &&Value| package["source"].is_null() && built.contains(&package["id"].as_str());
    let local = array(&metadata["packages"]).iter().filter(is_local);
    local.filter_map(|package| Path::new(package["manifest_path"].as_str()?).parent()).map(Path::to_owned).collect()
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

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_those_of_cargos_command_without_its_output() {
        let other = "     Running `CARGO_PKG_NAME=serde /bin/rustc --crate-name serde src/lib.rs`\n";
        let command = "     Running `CARGO=/bin/cargo CARGO_PKG_DESCRIPTION='two\nlines, it'\\''s `code`' FLAG='a b' OUT_DIR=/t/out /bin/rustc \
            --crate-name shop --edition=2024 app/src/lib.rs --error-format=json --json=artifacts --crate-type lib --emit=metadata,link \
            -C opt-level=1 -C debuginfo=2 -C linker=clang -C metadata=1 -C incremental=/t --deny=unsafe_code --cfg 'feature=\"dev\"' \
            --forbid=unsafe_code -D warnings --out-dir /t/deps -L dependency=/t/deps --extern method_sdk=/t/libmethod_sdk.rmeta --extern serde=/t/libserde.rmeta \
            --extern macros=/t/libmacros.so --print=crate-name -L native=/t/native --cfg shop_flag`\n";
        let metadata =
            serde_json::json!({ "workspace_root": "/work", "packages": [], "resolve": { "root": "a", "nodes": [] } });
        let printed = format!("{other}{command}    Finished `dev` profile in 0.1s\n");
        let flags = parse(&metadata, &printed).expect("the second command has the argument");
        assert_eq!(flags.root, Path::new("/work/app/src/lib.rs"));
        assert_eq!(flags.linker.as_deref(), Some("clang"));
        assert_eq!(flags.edition(), "2024");
        let expected = "--crate-name shop --edition=2024 -C opt-level=1 --deny=unsafe_code --cfg feature=\"dev\" -D warnings -L dependency=/t/deps \
            --extern serde=/t/libserde.rlib --extern macros=/t/libmacros.so -L native=/t/native --cfg shop_flag";
        assert_eq!(flags.arguments.join(" "), expected);
        let variables: Vec<_> = flags.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(variables, ["CARGO_PKG_DESCRIPTION=two\nlines, it's `code`", "FLAG=a b", "OUT_DIR=/t/out"]);
        assert_eq!(parse(&metadata, other), None);
    }
}
