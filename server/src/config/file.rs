//! `server.conf`: lines of `key=value`, `#` comments, quotes where a value needs them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::iter::successors;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::keys::{self, Key, names, suggest};
use super::parse::sanitize;
use super::setting::{InvalidSetting, Setting, SettingError, Settings};

const DEFAULT: &str = "server.conf";
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The mode bit of a file that every user of the machine can read.
const READABLE_BY_OTHERS: u32 = 0o004;

/// The settings in the configuration file.
pub(super) struct FileSource {
    /// The name of the file, or where one was looked for.
    pub(super) description: String,
    pub(super) settings: Settings,
    pub(super) warnings: Vec<String>,
}

/// A folder that is not in an application.
#[derive(Debug, Error)]
#[error(
    "there is no folder `methods` beside a Cargo.toml in {} or above; run this command in the application's folder or below it",
    .0.display()
)]
pub(crate) struct NoApplication(PathBuf);

/// Returns the folder of the application that `directory` is in: the closest one, itself included, with a `Cargo.toml` and a folder
/// `methods`.
pub(crate) fn application_folder(directory: &Path) -> Result<&Path, NoApplication> {
    let is_application = |folder: &&Path| folder.join("methods").is_dir() && folder.join("Cargo.toml").is_file();
    let mut folders = successors(Some(directory), |folder| folder.parent());
    folders.find(is_application).ok_or_else(|| NoApplication(directory.to_owned()))
}

/// Reads the file at `config`, which must exist and may be relative to `directory`, or else `server.conf` in `base`, which may be missing.
pub(super) fn read(directory: &Path, base: &Path, config: Option<&OsStr>) -> FileSource {
    let path = match config {
        Some(config) => directory.join(config),
        None => base.join(DEFAULT),
    };
    let name =
        config.map(Path::new).unwrap_or_else(|| path.strip_prefix(directory).unwrap_or(&path)).display().to_string();
    let (bytes, mode) = match load(&path) {
        Ok(loaded) => loaded,
        Err(error) if config.is_none() && error.kind() == io::ErrorKind::NotFound => {
            let description = format!("no {DEFAULT} in {}", base.display());
            return FileSource { description, settings: Vec::new(), warnings: Vec::new() };
        }
        Err(error) => {
            let error = InvalidSetting { origin: name.clone(), error: SettingError::UnreadableFile(error) };
            return FileSource { description: name, settings: vec![Err(error)], warnings: Vec::new() };
        }
    };
    let settings = settings(&name, &bytes);
    let secret = settings.iter().flatten().find(|setting| setting.key.is_secret && !setting.value.is_empty());
    let warnings = match secret {
        Some(secret) if mode & READABLE_BY_OTHERS != 0 => {
            vec![format!("{name}: every user of this machine can read `{}`; run `chmod 600 {name}`", secret.key.name)]
        }
        _ => Vec::new(),
    };
    FileSource { description: name, settings, warnings }
}

/// Returns the bytes and the mode of a file.
fn load(path: &Path) -> io::Result<(Vec<u8>, u32)> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok((bytes, file.metadata()?.permissions().mode()))
}

/// Returns `true` if every user of the machine can read the file.
pub(crate) fn is_readable_by_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.permissions().mode() & READABLE_BY_OTHERS != 0)
}

/// Reads the text of a file that contains one value.
///
/// # Errors
/// The file cannot be read, or is not UTF-8.
pub(crate) fn read_value(path: &Path) -> io::Result<String> {
    Ok(without_byte_order_mark(&fs::read_to_string(path)?).to_owned())
}

/// Returns `text` without the mark that some editors and shells of Windows write before it.
pub(crate) fn without_byte_order_mark(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Parses `bytes` line by line.
pub(super) fn settings(name: &str, bytes: &[u8]) -> Settings {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(bytes);
    let mut first_lines = HashMap::new();
    let mut settings = Settings::new();
    for (number, line) in (1_usize..).zip(bytes.split(|byte| *byte == b'\n')) {
        let origin = format!("{name}:{number}");
        let setting = match entry(line) {
            Ok(None) => continue,
            Ok(Some((key, value))) => match *first_lines.entry(key.name).or_insert(number) {
                first_line if first_line == number => Ok(Setting { origin, key, value }),
                first_line => {
                    Err(InvalidSetting { origin, error: SettingError::Duplicate { key: key.name, first_line } })
                }
            },
            Err(error) => Err(InvalidSetting { origin, error }),
        };
        settings.push(setting);
    }
    settings
}

/// Returns the key and the value in a line, or `None` for a blank line or a comment. The error does not contain the value, because it
/// may be a secret.
fn entry(line: &[u8]) -> Result<Option<(&'static Key, String)>, SettingError> {
    let line = std::str::from_utf8(line).map_err(|_| SettingError::NotUtf8)?.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, value) = line.split_once('=').ok_or(SettingError::MissingEquals)?;
    let name = name.trim_end().replace('-', "_");
    let key = keys::find(&name)
        .ok_or_else(|| SettingError::UnknownKey { name: sanitize(&name), suggestion: suggest(&name, names()) })?;
    Ok(Some((key, unquote(value)?)))
}

/// Returns the value behind the `=`: the text between quotes, or else the text up to a comment. There are no escapes.
fn unquote(text: &str) -> Result<String, SettingError> {
    let value = text.trim_start();
    let Some(quote) = value.chars().next().filter(|first| ['"', '\''].contains(first)) else {
        let mut hashes = text.match_indices('#').map(|(index, _)| index);
        let end = hashes.find(|index| text[..*index].ends_with(char::is_whitespace));
        return Ok(text[..end.unwrap_or(text.len())].trim().to_owned());
    };
    let (value, rest) = value[1..].split_once(quote).ok_or(SettingError::UnclosedQuote(quote))?;
    let rest = rest.trim_start();
    if !rest.is_empty() && !rest.starts_with('#') {
        return Err(SettingError::TextAfterQuote(quote));
    }
    Ok(value.to_owned())
}
