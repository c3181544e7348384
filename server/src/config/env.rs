//! `SIMPLEAPI_<KEY>`, and `SIMPLEAPI_<KEY>_FILE` for values that are mounted as files.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::parse::sanitize;
use super::{KEYS, Setting, Settings, names, suggest};

const PREFIX: &str = "SIMPLEAPI_";
/// After the prefix: the variable that names the configuration file.
const CONFIG: &str = "CONFIG";
/// After the prefix: variables that belong to the tests.
const TEST: &str = "TEST_";
/// At the end: the value is what the named file holds.
const FILE: &str = "_FILE";

/// What the environment says.
pub(super) struct EnvSource {
    /// The configuration file to read instead of `server.conf`.
    pub(super) config: Option<OsString>,
    pub(super) settings: Settings,
    pub(super) warnings: Vec<String>,
}

/// Picks the variables that are ours; relative paths of files start at `directory`.
pub(super) fn read(environment: impl IntoIterator<Item = (OsString, OsString)>, directory: &Path) -> EnvSource {
    let mut variables: BTreeMap<String, OsString> = environment
        .into_iter()
        .filter_map(|(name, value)| {
            let name = name.to_string_lossy().strip_prefix(PREFIX)?.to_owned();
            (!name.starts_with(TEST)).then_some((name, value))
        })
        .collect();
    let config = variables.remove(CONFIG);
    let mut settings = Settings::new();
    let mut warnings = Vec::new();
    for (name, value) in &variables {
        let (plain, mounted) = name.strip_suffix(FILE).map_or((name.as_str(), false), |plain| (plain, true));
        let Some(key) = KEYS.iter().find(|key| key.name.to_ascii_uppercase() == plain) else {
            warnings.push(unknown(name));
            continue;
        };
        let value = match mounted {
            true if variables.contains_key(plain) => Err(format!("given beside {PREFIX}{plain}; keep one of them")),
            true => read_mounted(&directory.join(value)),
            false => value.to_str().map(str::to_owned).ok_or_else(|| "not UTF-8".to_owned()),
        };
        let origin = format!("{PREFIX}{name}");
        settings.push(match value {
            Ok(value) => Ok(Setting { origin, key, value }),
            Err(what) => Err(format!("{origin}: {what}")),
        });
    }
    EnvSource { config, settings, warnings }
}

/// What the file at `path` holds, without one newline at its end. The path is not in the `Err`: somebody may have
/// put the secret itself there.
fn read_mounted(path: &Path) -> Result<String, String> {
    let mut text = fs::read_to_string(path).map_err(|error| format!("the file it names cannot be read: {error}"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn unknown(name: &str) -> String {
    let known: Vec<_> = names()
        .flat_map(|name| [name.to_owned(), format!("{name}{FILE}")])
        .chain([CONFIG.to_owned()])
        .map(|name| name.to_lowercase())
        .collect();
    let meant = suggest(name, known.iter().map(String::as_str))
        .map(|name| format!("; did you mean `{PREFIX}{}`?", name.to_uppercase()));
    format!("unknown variable `{PREFIX}{}` is ignored{}", sanitize(name), meant.unwrap_or_default())
}
