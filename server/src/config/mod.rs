//! The configuration of a server: defaults, `server.conf`, the environment and the command line, read into one [`Config`].
//!
//! A new key is one row in `keys.rs` and one entry in `server.conf`. Each source yields its settings in order, and [`parse()`] applies
//! the sources in increasing precedence. In the order of their imports:
//!
//! | file | |
//! |---|---|
//! | `types.rs` | the types of values |
//! | `parse.rs` | the text of a value to its type |
//! | `keys.rs` | the table of keys, and [`Config`] |
//! | `setting.rs` | a setting with its origin, and its errors |
//! | `file.rs`, `env.rs`, `args.rs` | the sources |

mod args;
mod env;
mod file;
mod keys;
mod parse;
mod setting;
#[cfg(test)]
mod tests;
mod types;

use std::ffi::OsString;
use std::path::Path;

use thiserror::Error;

#[cfg(feature = "dev")]
pub(crate) use args::Dev;
pub(crate) use args::{Account, Client, Command, Contract, EarlyExit};
#[cfg(feature = "sqlite")]
pub(crate) use file::is_readable_by_others;
pub(crate) use file::{NoApplication, application_folder, read_value, without_byte_order_mark};
pub use keys::Config;
use setting::{InvalidSetting, Setting};
pub use types::{Database, Docs, LogFormat, LogLevel, Secret};

/// A command and the configuration for it.
#[derive(Debug)]
pub(crate) struct Cli {
    pub(crate) command: Command,
    /// Only the commands that need a configuration look at the result, so that the others work beside a broken file.
    pub(crate) config: Result<Config, ConfigError>,
    /// The name of the configuration file, or where one was looked for.
    pub(crate) config_file: String,
    /// Warnings about the configuration, one sentence each.
    pub(crate) warnings: Vec<String>,
}

/// Every error in a configuration, one per line, weakest source first.
#[derive(Debug, Error)]
#[error("{}", lines(.0))]
pub(crate) struct ConfigError(pub(crate) Vec<InvalidSetting>);

fn lines(errors: &[InvalidSetting]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Applies settings in their order, and returns the errors in them.
fn apply(
    settings: impl IntoIterator<Item = Result<Setting, InvalidSetting>>,
    config: &mut Config,
) -> Vec<InvalidSetting> {
    settings.into_iter().filter_map(|setting| setting.and_then(|setting| setting.apply(config)).err()).collect()
}

/// Returns the messages of the errors in a configuration file.
#[cfg(feature = "fuzzing")]
pub(crate) fn file_errors(bytes: &[u8]) -> Vec<String> {
    let errors = apply(file::settings("server.conf", bytes), &mut Config::default());
    errors.iter().map(ToString::to_string).collect()
}

/// Reads the command line, the environment and the configuration file.
///
/// `args` are those of [`std::env::args_os`], starting with the program's name; `environment` is that of [`std::env::vars_os`].
/// Relative paths start at `directory`. Those in `server.conf` and of defaults start at the folder of the application that `directory` is
/// in, if it is in one, and so does the search for `server.conf`.
///
/// # Errors
/// Returns [`EarlyExit`] if the command line asks for help or the version, or is invalid. An invalid value of any source is in
/// [`Cli::config`] instead.
pub(crate) fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    directory: &Path,
) -> Result<Cli, EarlyExit> {
    let args = args::read(args)?;
    let environment = env::read(environment, directory);
    let config_path = args.config.or(environment.config).filter(|path| !path.is_empty());
    let base = application_folder(directory).unwrap_or(directory);
    let file = file::read(directory, base, config_path.as_deref());

    let mut config = Config::default();
    let mut errors = apply(file.settings, &mut config);
    if base != directory && !is_sqlite_name(&config.sqlite_path) {
        config.sqlite_path = base.join(&config.sqlite_path);
    }
    errors.extend(apply(environment.settings.into_iter().chain(args.settings), &mut config));
    let mut command = args.command;
    if let Command::Import { from: from @ None, from_file: None } = &mut command {
        *from = environment.import_from.and_then(|url| url.into_string().ok());
    }
    Ok(Cli {
        command,
        config: if errors.is_empty() { Ok(config) } else { Err(ConfigError(errors)) },
        config_file: file.description,
        warnings: file.warnings.into_iter().chain(environment.warnings).collect(),
    })
}

/// Returns `true` for names such as `:memory:`, to which SQLite gives a meaning of their own.
pub(crate) fn is_sqlite_name(path: &Path) -> bool {
    let path = path.as_os_str().as_encoded_bytes();
    path.starts_with(b":") || path.starts_with(b"file:")
}
