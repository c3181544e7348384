//! `server new`: creates the file of a new method.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use method_build::{NameError, check_name};
use thiserror::Error;

use crate::config::{NoApplication, application_folder};

/// The text of a new method, after its description.
const TEMPLATE: &str = r#"
use method_sdk::prelude::*;

#[derive(Deserialize)]
pub struct Params {
    pub name: String,
}

#[derive(Serialize)]
pub struct Answer {
    pub greeting: String,
}

pub async fn invoke(_handler: &mut Handler, params: Params) -> Result<Answer> {
    Ok(Answer { greeting: format!("hello {}", params.name) })
}
"#;

/// The reason why the file of a method cannot be created.
#[derive(Debug, Error)]
pub(crate) enum NewMethodError {
    #[error("`{name}` is not a valid method name: {error}{}", did_you_mean(.error))]
    Name { name: String, error: NameError },
    #[error(transparent)]
    NoApplication(#[from] NoApplication),
    #[error("{} already exists", .0.display())]
    FileExists(PathBuf),
    #[error(
        "{} already exists, and a name is either a method or a folder of methods; choose another name",
        .0.display()
    )]
    FolderExists(PathBuf),
    #[error("{} is already a method, and a name is either a method or a folder of methods; choose another name", .0.display())]
    FolderIsMethod(PathBuf),
    #[error("cannot write {}: {error}", .file.display())]
    Write { file: PathBuf, error: io::Error },
}

fn did_you_mean(error: &NameError) -> String {
    error.suggestion().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// Creates the file of the method `name` in the application that `directory` is in, and returns the message of success.
pub(super) fn create(directory: &Path, name: &str) -> Result<String, NewMethodError> {
    check_name(name).map_err(|error| NewMethodError::Name { name: name.to_owned(), error })?;
    let here = directory;
    let directory = application_folder(here)?;
    let folder = Path::new("methods").join(name.replace('.', "/"));
    if directory.join(&folder).is_dir() {
        return Err(NewMethodError::FolderExists(folder));
    }
    for (dot, _) in name.match_indices('.') {
        let parent = Path::new("methods").join(name[..dot].replace('.', "/")).with_extension("rs");
        if directory.join(&parent).is_file() {
            return Err(NewMethodError::FolderIsMethod(parent));
        }
    }
    let file = folder.with_extension("rs");
    let text = method_template("Says what the method is for; `server methods` shows it.");
    write_new(&directory.join(&file), &text).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => NewMethodError::FileExists(file.clone()),
        _ => NewMethodError::Write { file: file.clone(), error },
    })?;
    let created = if directory == here { file } else { directory.join(file) };
    Ok(format!("created {}: the method `{name}` of the next build", created.display()))
}

/// Returns the text of a new method with this description.
pub(super) fn method_template(description: &str) -> String {
    format!("//! {description}{TEMPLATE}")
}

/// Writes the file at `path`, which must not exist, and the folders above it.
pub(super) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes()).inspect_err(|_| drop(fs::remove_file(path)))
}
