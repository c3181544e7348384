//! `server.conf`: lines of `key=value`, `#` comments, quotes where a value needs them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::parse::sanitize;
use super::{KEYS, Key, Setting, Settings, names, suggest};

const DEFAULT: &str = "server.conf";

/// Readable by every user of the machine.
const READABLE_BY_OTHERS: u32 = 0o004;

/// What a configuration file says.
pub(super) struct FileSource {
    pub(super) settings: Settings,
    pub(super) warnings: Vec<String>,
}

/// Reads the file at `named`, which must exist, or else `server.conf` in `directory`, which need not.
pub(super) fn read(directory: &Path, named: Option<&OsStr>) -> FileSource {
    let path = Path::new(named.unwrap_or(OsStr::new(DEFAULT)));
    let name = path.display().to_string();
    let (bytes, mode) = match load(&directory.join(path)) {
        Ok(loaded) => loaded,
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => (Vec::new(), 0),
        Err(error) => {
            let problem = format!("{name}: cannot be read: {error}");
            return FileSource { settings: vec![Err(problem)], warnings: Vec::new() };
        }
    };
    let settings = settings(&name, &bytes);
    let held = settings.iter().flatten().find(|setting| setting.key.secret && !setting.value.is_empty());
    let warnings = match held {
        Some(secret) if mode & READABLE_BY_OTHERS != 0 => vec![format!(
            "{name}: holds `{}` and can be read by every user of this machine; `chmod 600 {name}` changes that",
            secret.key.name
        )],
        _ => Vec::new(),
    };
    FileSource { settings, warnings }
}

/// The bytes of a file, and who may read them.
fn load(path: &Path) -> io::Result<(Vec<u8>, u32)> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok((bytes, file.metadata()?.permissions().mode()))
}

/// The settings in `bytes`, line by line.
fn settings(name: &str, bytes: &[u8]) -> Settings {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut first_lines = HashMap::new();
    let mut settings = Settings::new();
    for (number, line) in (1_usize..).zip(bytes.split(|byte| *byte == b'\n')) {
        let origin = format!("{name}:{number}");
        let setting = match entry(line) {
            Ok(None) => continue,
            Ok(Some((key, value))) => match *first_lines.entry(key.name).or_insert(number) {
                first if first == number => Ok(Setting { origin, key, value }),
                first => Err(format!("{origin}: `{}` is given twice; the first is on line {first}", key.name)),
            },
            Err(what) => Err(format!("{origin}: {what}")),
        };
        settings.push(setting);
    }
    settings
}

/// The key and the value in one line, or `None` for a blank line or a comment. What follows the `=` is never in the
/// `Err`: it may be a secret.
fn entry(line: &[u8]) -> Result<Option<(&'static Key, String)>, String> {
    let line = std::str::from_utf8(line).map_err(|_| "not UTF-8")?.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, value) = line.split_once('=').ok_or("no `=`; a line is `key=value`")?;
    let name = name.trim_end().replace('-', "_");
    let key = KEYS.iter().find(|key| key.name == name).ok_or_else(|| {
        let meant = suggest(&name, names()).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        format!("unknown key `{}`{meant}", sanitize(&name))
    })?;
    Ok(Some((key, unquote(value)?)))
}

/// What stands behind the `=`, without its quotes, or, where it has none, without the comment. There are no escapes.
fn unquote(text: &str) -> Result<String, String> {
    let value = text.trim_start();
    let Some(quote) = value.chars().next().filter(|first| ['"', '\''].contains(first)) else {
        let mut hashes = text.match_indices('#').map(|(at, _)| at);
        let end = hashes.find(|at| text[..*at].ends_with(char::is_whitespace));
        return Ok(text[..end.unwrap_or(text.len())].trim().to_owned());
    };
    let (value, rest) = value[1..].split_once(quote).ok_or_else(|| format!("no closing {quote}"))?;
    let rest = rest.trim_start();
    if !rest.is_empty() && !rest.starts_with('#') {
        return Err(format!("something other than a comment after the closing {quote}"));
    }
    Ok(value.to_owned())
}
