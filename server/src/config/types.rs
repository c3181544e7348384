//! The types of configuration values.

use std::fmt;

/// A value that no message shows: its `Debug` is `<redacted>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Returns the text, for the code that connects with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<redacted>")
    }
}

/// The database for accounts and sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file on this machine.
    Sqlite,
    /// MongoDB, and databases that speak its protocol.
    Mongodb,
    /// MySQL, and databases that speak its protocol.
    Mysql,
    /// PostgreSQL.
    Postgres,
}

impl Database {
    /// Every database with its name in the configuration.
    pub(crate) const NAMES: &[(&str, Database)] = &[
        ("sqlite", Database::Sqlite),
        ("mongodb", Database::Mongodb),
        ("mysql", Database::Mysql),
        ("postgres", Database::Postgres),
    ];

    /// Returns the name in the configuration.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, database)| *database == self).map_or("", |(name, _)| name)
    }
}

/// The servers that serve the page at `/docs` and the document at `/openapi.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Docs {
    /// A server in development mode.
    Dev,
    /// Every server.
    On,
    /// None.
    Off,
}

impl Docs {
    /// Every choice with its name in the configuration.
    pub(super) const NAMES: &[(&str, Docs)] = &[("dev", Docs::Dev), ("on", Docs::On), ("off", Docs::Off)];
}

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `Pretty` on a terminal, `Json` otherwise.
    Auto,
    /// Text for people.
    Pretty,
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    /// Every format with its name in the configuration.
    pub(super) const NAMES: &[(&str, LogFormat)] =
        &[("auto", LogFormat::Auto), ("pretty", LogFormat::Pretty), ("json", LogFormat::Json)];
}

/// The minimum level that is logged. Each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Failures of the server.
    Error,
    /// Conditions that may lead to failures.
    Warn,
    /// Every call.
    Info,
    /// Details that help to find a fault.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// Every level with its name in the configuration.
    pub(super) const NAMES: &[(&str, LogLevel)] = &[
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
}
