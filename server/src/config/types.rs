//! The types of values, and for each kind of key how its text becomes one.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::parse::{choice, duration, invalid, limit, list, network, non_empty, number, optional, origin, size, url};

/// A text that is used but never sanitize: its `Debug` is `<redacted>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one who connects with it.
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

/// Where accounts and sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file on this machine.
    Sqlite,
    /// MongoDB.
    Mongodb,
    /// MySQL and what speaks its protocol.
    Mysql,
    /// PostgreSQL.
    Postgres,
}

impl Database {
    /// Every kind, as it is written in the configuration.
    pub(crate) const NAMES: &[(&str, Database)] = &[
        ("sqlite", Database::Sqlite),
        ("mongodb", Database::Mongodb),
        ("mysql", Database::Mysql),
        ("postgres", Database::Postgres),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, database)| *database == self).map_or("", |(name, _)| name)
    }
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `Pretty` on a terminal, else `Json`.
    Auto,
    /// For people.
    Pretty,
    /// For machines: one object a line.
    Json,
}

/// The least level that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// And what may fail soon.
    Warn,
    /// And each call.
    Info,
    /// And what helps to find a fault.
    Debug,
    /// And everything else.
    Trace,
}

/// How the values of a key are read and sanitize.
pub(super) struct ValueParser<T> {
    pub(super) value_name: &'static str,
    pub(super) secret: bool,
    pub(super) read: fn(&str) -> Result<T, String>,
}

const fn shown_as<T>(value_name: &'static str, read: fn(&str) -> Result<T, String>) -> ValueParser<T> {
    ValueParser { value_name, secret: false, read }
}

const fn hidden<T>(value_name: &'static str, read: fn(&str) -> Result<T, String>) -> ValueParser<T> {
    ValueParser { value_name, secret: true, read }
}

pub(super) const ADDRESS: ValueParser<IpAddr> =
    shown_as("IP", |text| text.parse().map_err(|_| invalid(text, "an IP address such as `127.0.0.1` or `::1`")));
pub(super) const PORT: ValueParser<u16> = shown_as("PORT", |text| number(text, 0..=u16::MAX));
pub(super) const REMOTE_PORT: ValueParser<u16> = shown_as("PORT", |text| number(text, 1..=u16::MAX));
pub(super) const COUNT: ValueParser<u32> = shown_as("NUMBER", |text| number(text, 1..=u32::MAX));
pub(super) const TEXT: ValueParser<String> = shown_as("TEXT", non_empty);
pub(super) const OPTIONAL_TEXT: ValueParser<Option<String>> = shown_as("TEXT", |text| Ok(optional(text)));
pub(super) const PATH: ValueParser<PathBuf> = shown_as("PATH", |text| non_empty(text).map(PathBuf::from));
pub(super) const SECRET: ValueParser<Option<Secret>> = hidden("TEXT", |text| Ok(optional(text)));
pub(super) const MONGODB_URL: ValueParser<Option<Secret>> =
    hidden("URL", |text| url(text, &["mongodb://", "mongodb+srv://"]));
pub(super) const MYSQL_URL: ValueParser<Option<Secret>> = hidden("URL", |text| url(text, &["mysql://", "mariadb://"]));
pub(super) const POSTGRES_URL: ValueParser<Option<Secret>> =
    hidden("URL", |text| url(text, &["postgres://", "postgresql://"]));
pub(super) const SIZE: ValueParser<usize> = shown_as("SIZE", size);
/// A duration that may be 0.
pub(super) const DELAY: ValueParser<Duration> = shown_as("DURATION", duration);
/// A duration that must leave some time.
pub(super) const TIMEOUT: ValueParser<Duration> =
    shown_as("DURATION", |text| limit(text)?.ok_or_else(|| invalid(text, "enough; at least `1s` is needed")));
/// A duration, or 0 for none.
pub(super) const LIMIT: ValueParser<Option<Duration>> = shown_as("DURATION", limit);
pub(super) const NETWORKS: ValueParser<Vec<IpNet>> = shown_as("NETWORKS", |text| list(text, network));
pub(super) const ORIGINS: ValueParser<Vec<String>> = shown_as("ORIGINS", |text| list(text, origin));
pub(super) const DATABASE: ValueParser<Database> = shown_as("NAME", |text| choice(text, Database::NAMES));
pub(super) const LOG_FORMAT: ValueParser<LogFormat> = shown_as("NAME", |text| {
    choice(text, &[("auto", LogFormat::Auto), ("pretty", LogFormat::Pretty), ("json", LogFormat::Json)])
});
pub(super) const LOG_LEVEL: ValueParser<LogLevel> = shown_as("NAME", |text| {
    choice(
        text,
        &[
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
            ("trace", LogLevel::Trace),
        ],
    )
});
