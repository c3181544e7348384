//! `server init`: writes a new application, which depends on the packages of this repository.

use std::fs;
use std::io;
use std::iter::successors;
use std::path::{Path, PathBuf};
use std::process::Command;

use method_build::client::{ClientFile, typescript};
use method_build::{Package, check_name};
use thiserror::Error;

use super::new::{method_template, write_new};

/// Files of this repository that an application has too, by path.
const COPIES: [(&str, &str); 10] = [
    (".cargo/config.toml", include_str!("../../../.cargo/config.toml")),
    (".gitignore", include_str!("../../../.gitignore")),
    ("build.rs", include_str!("../../../build.rs")),
    ("methods/account/create.rs", include_str!("../../../methods/account/create.rs")),
    ("methods/account/login.rs", include_str!("../../../methods/account/login.rs")),
    ("methods/account/logout.rs", include_str!("../../../methods/account/logout.rs")),
    ("methods/account/update.rs", include_str!("../../../methods/account/update.rs")),
    ("rustfmt.toml", include_str!("../../../rustfmt.toml")),
    ("server.conf", include_str!("../../../server.conf")),
    ("src/lib.rs", include_str!("../../../src/lib.rs")),
];

/// Files with placeholders: `{name}` is the name of the package, `{crate}` that of its library, and `{method-sdk}`, `{server}` and
/// `{method-build}` are the places of the packages that it depends on.
const TEMPLATES: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("init/Cargo.toml.template")),
    ("README.md", include_str!("init/README.md.template")),
    ("src/main.rs", include_str!("init/main.rs.template")),
    ("tests/methods.rs", include_str!("init/methods.rs.template")),
];

/// The files of the example `notes`, beside those of every application.
const NOTES: [(&str, &str); 11] = [
    ("methods/app/html.rs", include_str!("init/notes/html.rs")),
    ("methods/app/js.rs", include_str!("init/notes/js.rs")),
    ("methods/notes/_note.rs", include_str!("init/notes/_note.rs")),
    ("methods/notes/add.rs", include_str!("init/notes/add.rs")),
    ("methods/notes/list.rs", include_str!("init/notes/list.rs")),
    ("methods/notes/remove.rs", include_str!("init/notes/remove.rs")),
    ("migrations/sqlite/0001_notes.sql", include_str!("init/notes/0001_notes.sql")),
    ("tests/notes.rs", include_str!("init/notes/notes.rs.template")),
    ("web/app.html", include_str!("init/notes/app.html")),
    ("web/app.js", include_str!("init/notes/app.js")),
    ("web/app.ts", include_str!("init/notes/app.ts")),
];

/// The files with which npm builds the page of the example `notes`.
const NOTES_TOOLS: [(&str, &str); 2] = [
    ("web/package.json", include_str!("init/notes/package.json")),
    ("web/tsconfig.json", include_str!("init/notes/tsconfig.json")),
];

/// The file of the first method.
const FIRST_METHOD: &str = "methods/hello.rs";

/// The lock file, whose versions are those that this repository is tested with.
const LOCK: &str = "Cargo.lock";

/// Names that the packages below an application, or its program, have already.
const TAKEN: [&str; 13] = [
    "alloc",
    "core",
    "method-build",
    "method-sdk",
    "method-sdk-dylib",
    "proc-macro",
    "serde",
    "serde-json",
    "server",
    "simpleapi-server",
    "std",
    "test",
    "tokio",
];

/// The reason why no application can be written.
#[derive(Debug, Error)]
pub(crate) enum InitError {
    #[error("the folder is called `{0}`, which cannot be the name of a package; {1}")]
    Name(String, String),
    #[error("{} is not empty; choose a new folder", .0.display())]
    NotEmpty(PathBuf),
    #[error("{} is not a folder; choose another name", .0.display())]
    NotAFolder(PathBuf),
    #[error(
        "the packages that this program was built from are no longer in {}; name their repository, as in `server init DIRECTORY --git URL`",
        .0.display()
    )]
    NoPackages(PathBuf),
    #[error("`{0}` cannot be a URL in Cargo.toml; it must be one line without quotes and backslashes")]
    Url(String),
    #[error("cannot write {}: {error}", .file.display())]
    Write { file: PathBuf, error: io::Error },
}

/// Writes an application into the folder `new`, which is relative to the current `directory`, and returns the message of success. Its
/// packages are those of the checkout that this program was built from, or those of the git repository at the URL `git`. `has_notes` adds the
/// example `notes`.
pub(super) fn init(directory: &Path, new: &Path, git: Option<&str>, has_notes: bool) -> Result<String, InitError> {
    let directory = std::path::absolute(directory.join(new)).unwrap_or_else(|_| directory.join(new));
    let name = package_name(&directory)?;
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"));
    let repository = git.map(|url| of_repository(url, checkout)).transpose()?;
    let place = |package: &str| match &repository {
        Some(repository) => Ok(repository.clone()),
        None if checkout.join(package).join("Cargo.toml").is_file() => {
            Ok(format!("path = {:?}", checkout.join(package).display().to_string()))
        }
        None => Err(InitError::NoPackages(checkout.to_owned())),
    };
    let [sdk, server, build] = [place("method-sdk")?, place("server")?, place("method-sdk/build")?];
    check_is_empty(&directory)?;

    let fill = |template: &str| {
        let library = name.replace('-', "_");
        let names = [("{name}", &name), ("{crate}", &library)];
        let places = [("{method-sdk}", &sdk), ("{server}", &server), ("{method-build}", &build)];
        names.iter().chain(&places).fold(template.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let mut files = vec![(FIRST_METHOD, method_template("Greets by name."))];
    files.extend(COPIES.map(|(file, text)| (file, text.to_owned())));
    files.extend(TEMPLATES.map(|(file, template)| (file, fill(template))));
    if let Ok(lock) = fs::read_to_string(checkout.join(LOCK)) {
        files.push((LOCK, lock));
    }
    if has_notes {
        files.extend(NOTES.iter().chain(&NOTES_TOOLS).map(|(file, text)| (*file, fill(text))));
        let readme = files.iter_mut().filter(|(file, _)| *file == "README.md");
        readme.for_each(|(_, text)| text.push_str(include_str!("init/notes/notes.md")));
    }
    let mut written = Vec::new();
    let mut write = |file: &str, text: &str| {
        let path = directory.join(file);
        let result = write_new(&path, text);
        written.push(path.clone());
        result.map_err(|error| {
            remove(&written, &directory);
            InitError::Write { file: path, error }
        })
    };
    for (file, text) in &files {
        write(file, text)?;
    }
    let client = if has_notes { client_of(&directory, &name) } else { Vec::new() };
    for file in &client {
        write(&format!("web/{}", file.name), &file.text)?;
    }
    let (count, new) = (files.len() + client.len(), new.display());
    Ok(format!(
        "created the application {name}: {count} files\n\n    cd {new}\n    cargo dev     # serves on http://127.0.0.1:8888; edit {FIRST_METHOD} while it runs\n    cargo test"
    ))
}

/// Returns the client of an application that has been written.
fn client_of(directory: &Path, name: &str) -> Vec<ClientFile> {
    let package = Package { name: name.to_owned(), ..Package::default() };
    let tree = method_build::read(&directory.join("methods"), package);
    tree.map(|tree| typescript(&tree.contract())).unwrap_or_default()
}

/// Removes files, and the folders that are empty without them: the next attempt would refuse a folder with a part of an application.
fn remove(files: &[PathBuf], directory: &Path) {
    for file in files {
        let _ = fs::remove_file(file);
        let folders = successors(file.parent(), |folder| folder.parent());
        for folder in folders.take_while(|folder| folder.starts_with(directory)) {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Returns the place of packages in a git repository: at the commit of this checkout, if it is known.
fn of_repository(url: &str, checkout: &Path) -> Result<String, InitError> {
    if url.is_empty() || url.contains(['"', '\\']) || url.contains(char::is_control) {
        return Err(InitError::Url(url.to_owned()));
    }
    let commit = Command::new("git").arg("-C").arg(checkout).args(["rev-parse", "HEAD"]).output();
    let commit = commit.ok().filter(|output| output.status.success());
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    Ok(match commit {
        Some(commit) => format!("git = \"{url}\", rev = \"{commit}\""),
        None => format!("git = \"{url}\""),
    })
}

/// Returns the name of the package in `directory`: that of the folder.
fn package_name(directory: &Path) -> Result<String, InitError> {
    let name = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let invalid = |reason: &str| InitError::Name(name.clone(), reason.to_owned());
    let is_valid = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
    if !is_valid {
        return Err(invalid("use lower-case letters, digits, `-` and `_`, beginning with a letter"));
    }
    if TAKEN.contains(&&*name.replace('_', "-")) {
        return Err(invalid("a package or a program below it has this name already"));
    }
    // The rules for names of methods, which are modules, cover the keywords of Rust.
    check_name(&name.replace('-', "_")).map_err(|error| invalid(&format!("{error}; choose another")))?;
    Ok(name)
}

/// Checks that nothing but a new git repository is in `directory`, which need not exist.
fn check_is_empty(directory: &Path) -> Result<(), InitError> {
    match fs::read_dir(directory) {
        Ok(mut entries) => match entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != ".git")) {
            true => Err(InitError::NotEmpty(directory.to_owned())),
            false => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(InitError::NotAFolder(directory.to_owned())),
        Err(error) => Err(InitError::Write { file: directory.to_owned(), error }),
    }
}
