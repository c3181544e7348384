//! The environment: `SIMPLEAPI_<KEY>`, and `SIMPLEAPI_<KEY>_FILE` for values that are mounted as files.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::file::{is_readable_by_others, read_value};
use super::keys::{KEYS, names, suggest};
use super::parse::sanitize;
use super::setting::{InvalidSetting, Setting, SettingError, Settings};

const PREFIX: &str = "SIMPLEAPI_";
/// After the prefix: the variable that names the configuration file.
const CONFIG: &str = "CONFIG";
/// After the prefix: the URL of the database that `server import` reads.
const IMPORT_FROM: &str = "IMPORT_FROM";
/// After the prefix: the prefix of variables that configure tests.
const TEST: &str = "TEST_";
/// After the prefix: the variables of the application's build script.
const BUILD: [&str; 2] = ["CONTRACT", "DEV"];
/// The suffix of a variable that names a file with the value.
const FILE: &str = "_FILE";

/// The settings in the environment.
pub(super) struct EnvSource {
    /// The configuration file to read instead of `server.conf`.
    pub(super) config: Option<OsString>,
    /// The URL of the database that `server import` reads.
    pub(super) import_from: Option<OsString>,
    pub(super) settings: Settings,
    pub(super) warnings: Vec<String>,
}

/// Reads the variables with the prefix; relative paths of files start at `directory`. An empty variable for a
/// file counts as unset.
pub(super) fn read(environment: impl IntoIterator<Item = (OsString, OsString)>, directory: &Path) -> EnvSource {
    let mut variables: BTreeMap<String, OsString> = environment
        .into_iter()
        .filter_map(|(name, value)| {
            let name = name.to_string_lossy().strip_prefix(PREFIX)?.to_owned();
            let is_unset = name.ends_with(FILE) && value.is_empty();
            (!BUILD.contains(&&*name) && !name.starts_with(TEST) && !is_unset).then_some((name, value))
        })
        .collect();
    let config = variables.remove(CONFIG);
    let import_from = variables.remove(IMPORT_FROM);
    let mut settings = Settings::new();
    let mut warnings = Vec::new();
    for (name, value) in &variables {
        let (capitals, is_file) = name.strip_suffix(FILE).map_or((name.as_str(), false), |plain| (plain, true));
        let Some(key) = KEYS.iter().find(|key| key.name.to_ascii_uppercase() == capitals) else {
            warnings.push(unknown_variable(name));
            continue;
        };
        let value = match is_file {
            true if variables.contains_key(capitals) => Err(SettingError::SetTwice(format!("{PREFIX}{capitals}"))),
            true => {
                let path = directory.join(value);
                if key.is_secret && is_readable_by_others(&path) {
                    warnings.push(format!(
                        "every user of this machine can read the file that `{PREFIX}{name}` names; run `chmod 600` on it"
                    ));
                }
                read_file(&path)
            }
            false => utf8(value),
        };
        let origin = format!("{PREFIX}{name}");
        settings.push(match value {
            Ok(value) => Ok(Setting { origin, key, value }),
            Err(error) => Err(InvalidSetting { origin, error }),
        });
    }
    EnvSource { config, import_from, settings, warnings }
}

fn utf8(value: &OsStr) -> Result<String, SettingError> {
    value.to_str().map(str::to_owned).ok_or(SettingError::NotUtf8)
}

/// Returns the contents of the file at `path` without one newline at its end. The error does not contain the path, because the
/// operator may have put the secret itself there.
fn read_file(path: &Path) -> Result<String, SettingError> {
    let mut text = read_value(path).map_err(SettingError::UnreadableFile)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn unknown_variable(name: &str) -> String {
    let known: Vec<_> = names()
        .flat_map(|name| [name.to_owned(), format!("{name}{FILE}")])
        .chain([CONFIG.to_owned()])
        .map(|name| name.to_lowercase())
        .collect();
    let suggestion = suggest(name, known.iter().map(String::as_str))
        .map(|name| format!("; did you mean `{PREFIX}{}`?", name.to_uppercase()));
    format!("ignoring the unknown environment variable `{PREFIX}{}`{}", sanitize(name), suggestion.unwrap_or_default())
}
