//! A setting as a source gives it, and the error that names its origin.

use std::io;

use thiserror::Error;

use super::keys::{Config, Key};
use super::parse::ValueError;

/// A value for a key. Has no `Debug`, because the value may be a secret.
pub(super) struct Setting {
    /// The place of the setting, such as `server.conf:3`, `SIMPLEAPI_PORT` or `--port`.
    pub(super) origin: String,
    pub(super) key: &'static Key,
    pub(super) value: String,
}

/// The settings of one source, in its order.
pub(super) type Settings = Vec<Result<Setting, InvalidSetting>>;

impl Setting {
    /// Stores the value in `config`.
    pub(super) fn apply(self, config: &mut Config) -> Result<(), InvalidSetting> {
        (self.key.set)(config, &self.value).map_err(|error| InvalidSetting { origin: self.origin, error: error.into() })
    }
}

/// An error in the configuration, with its place.
#[derive(Debug, Error)]
#[error("{origin}: {error}")]
pub(crate) struct InvalidSetting {
    /// The place, such as `server.conf:3`, `SIMPLEAPI_PORT` or `--port`.
    pub(crate) origin: String,
    /// The error. Its message shows no secret.
    pub(crate) error: SettingError,
}

/// The reason why a setting is rejected.
#[derive(Debug, Error)]
pub(crate) enum SettingError {
    /// The key does not accept the value.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The text is not valid UTF-8.
    #[error("the text is not valid UTF-8")]
    NotUtf8,
    /// A file cannot be read.
    #[error("cannot read the file: {0}")]
    UnreadableFile(#[source] io::Error),
    /// A line of the file has no `=`.
    #[error("missing `=`; write `key=value`")]
    MissingEquals,
    /// A line of the file sets a key that does not exist. The name is sanitized.
    #[error("unknown key `{name}`{}", did_you_mean(.suggestion))]
    UnknownKey {
        /// The name, sanitized.
        name: String,
        /// A key with a similar name.
        suggestion: Option<&'static str>,
    },
    /// Two lines of the file set the same key.
    #[error("`{key}` is already set on line {first_line}; remove one of the two lines")]
    Duplicate {
        /// The name of the key.
        key: &'static str,
        /// The number of the first of the two lines.
        first_line: usize,
    },
    /// A quote has no counterpart in its line.
    #[error("missing closing quote `{0}`")]
    UnclosedQuote(char),
    /// Text other than a comment follows a closing quote.
    #[error("unexpected text after the closing quote `{0}`; only a comment may follow")]
    TextAfterQuote(char),
    /// Both the variable of a key and the variable that names a file for it are set.
    #[error("`{0}` is set as well; unset one of the two variables")]
    SetTwice(String),
}

fn did_you_mean(suggestion: &Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}
