//! What the server is told before it starts: `server.conf`, the environment and the command line, read into one [`Config`].
//!
//! Adding a key is one row in the table below and one entry in `server.conf`. Each source yields its settings in order,
//! and [`parse`] applies them from the weakest to the strongest: default, file, environment, command line.

mod args;
mod env;
mod file;
mod parse;
#[cfg(test)]
mod tests;
mod types;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

pub use args::{Account, Command, Dev, EarlyExit};
pub use types::{Database, LogFormat, LogLevel, Secret};

/// One configuration key, as help, `server.conf` and the environment know it.
#[derive(Debug)]
pub struct Key {
    /// The name in `server.conf` and on the command line; the environment has `SIMPLEAPI_` and the name in capitals.
    pub name: &'static str,
    /// The default, as it would be written in `server.conf`; empty is none.
    pub default: &'static str,
    /// What the key is for, in one line.
    pub help: &'static str,
    /// Whether the value must never be sanitize.
    pub secret: bool,
    /// What stands for the value in help.
    pub value_name: &'static str,
    set: fn(&mut Config, &str) -> Result<(), String>,
}

macro_rules! keys {
    ($(#[doc = $help:literal] $name:ident: $type:ty = $default:literal, $parser:ident;)*) => {
        /// The whole configuration, typed; its default is what an empty `server.conf` gives.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Config {
            $(#[doc = $help] pub $name: $type,)*
        }

        impl Default for Config {
            fn default() -> Self {
                Self {
                    $($name: (types::$parser.read)($default).expect("a test reads every default"),)*
                }
            }
        }

        /// Every key, in the order of help and of `server.conf`.
        pub const KEYS: &[Key] = &[$(Key {
            name: stringify!($name),
            default: $default,
            help: $help.trim_ascii(),
            secret: types::$parser.secret,
            value_name: types::$parser.value_name,
            set: |config, text| {
                config.$name = (types::$parser.read)(text)?;
                Ok(())
            },
        },)*];
    };
}

keys! {
    /// Address to listen on: 0.0.0.0 in a container, :: for IPv6
    address: IpAddr = "127.0.0.1", ADDRESS;
    /// Port to listen on; 0 is any free one
    port: u16 = "8888", PORT;
    /// Where accounts and sessions are kept: sqlite, mongodb, mysql or postgres
    database: Database = "sqlite", DATABASE;
    /// SQLite: the file, relative to the working directory; created when it is missing
    sqlite_path: PathBuf = "simpleapi.db", PATH;
    /// MongoDB: the host
    mongodb_host: String = "localhost", TEXT;
    /// MongoDB: the port
    mongodb_port: u16 = "27017", REMOTE_PORT;
    /// MongoDB: the database
    mongodb_database: String = "simple_api_server", TEXT;
    /// MongoDB: everything in one URL, instead of host and port
    mongodb_url: Option<Secret> = "", MONGODB_URL;
    /// MySQL: the host, and its port after a colon
    mysql_host: String = "localhost:3306", TEXT;
    /// MySQL: the database
    mysql_database: String = "simple_api_server", TEXT;
    /// MySQL: the user
    mysql_user: Option<String> = "", OPTIONAL_TEXT;
    /// MySQL: the password of that user
    mysql_password: Option<Secret> = "", SECRET;
    /// MySQL: everything in one URL, instead of host, database, user and password
    mysql_url: Option<Secret> = "", MYSQL_URL;
    /// PostgreSQL: everything in one URL
    postgres_url: Option<Secret> = "", POSTGRES_URL;
    /// Connections to the database that one server holds at most
    database_connections: u32 = "10", COUNT;
    /// Time for the database to answer, the connection to it included; then the client hears 1016
    database_timeout: Duration = "5s", TIMEOUT;
    /// Life of a session from its making
    session_ttl: Duration = "24h", TIMEOUT;
    /// Largest body of a request, in bytes
    max_body: usize = "1m", SIZE;
    /// Connections that are open at once at most
    max_connections: u32 = "4096", COUNT;
    /// Connections from one address that are open at once at most
    max_connections_per_address: u32 = "256", COUNT;
    /// Time for the first byte of a new connection to arrive
    first_byte_timeout: Duration = "10s", TIMEOUT;
    /// Time a connection may wait for the next request, and its headers may take
    idle_timeout: Duration = "30s", TIMEOUT;
    /// Time for the whole body of a request to arrive
    body_timeout: Duration = "30s", TIMEOUT;
    /// Time for a method to answer, unless it sets its own; 0 is no limit
    request_timeout: Option<Duration> = "30s", LIMIT;
    /// Time a stopping server still accepts, so that load balancers notice
    shutdown_delay: Duration = "1s", DELAY;
    /// Time a stopping server gives to what is in flight
    drain_timeout: Duration = "30s", DELAY;
    /// Networks whose X-Forwarded-For is believed, separated by commas
    trusted_proxies: Vec<IpNet> = "", NETWORKS;
    /// Origins whose scripts may call from a browser (CORS), separated by commas
    allow_origins: Vec<String> = "", ORIGINS;
    /// Form of the log: pretty, json, or auto, which is pretty on a terminal
    log_format: LogFormat = "auto", LOG_FORMAT;
    /// Least level that is logged: error, warn, info, debug or trace
    log_level: LogLevel = "info", LOG_LEVEL;
}

/// What the process was asked to do, and with which configuration.
#[derive(Debug)]
pub struct Cli {
    /// What to do.
    pub command: Command,
    /// The configuration; only the commands that need one look at it, so that the others work beside a broken file.
    pub config: Result<Config, ConfigError>,
    /// Sentences for whoever starts the server, one line each; they stop nothing.
    pub warnings: Vec<String>,
}

/// Everything that is wrong with a configuration, one line each: where it is, then what it is.
#[derive(Debug, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct ConfigError {
    /// The lines: at least one, weakest source first. None shows a secret.
    pub problems: Vec<String>,
}

/// A value as a source gave it. Deliberately without `Debug`: it may be a secret.
struct Setting {
    /// Where it stands, such as `server.conf:3`, `SIMPLEAPI_PORT` or `--port`.
    origin: String,
    key: &'static Key,
    value: String,
}

/// The settings of one source in its own order; an `Err` is a line for the user.
type Settings = Vec<Result<Setting, String>>;

/// Reads the command line, the environment and the configuration file into one configuration.
///
/// `args` is what [`std::env::args_os`] gives, the program's name first; `environment` is [`std::env::vars_os`];
/// relative paths of files start at `directory`, where `server.conf` may be.
///
/// # Errors
///
/// [`EarlyExit`] when the command line asks for help or the version, or cannot be understood. A bad value, wherever it
/// stands, is in [`Cli::config`].
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    directory: &Path,
) -> Result<Cli, EarlyExit> {
    let line = args::read(args)?;
    let environment = env::read(environment, directory);
    let named = line.config.or(environment.config).filter(|path| !path.is_empty());
    let file = file::read(directory, named.as_deref());

    let mut config = Config::default();
    let mut problems = Vec::new();
    for setting in file.settings.into_iter().chain(environment.settings).chain(line.settings) {
        if let Err(problem) = setting.and_then(|setting| apply(setting, &mut config)) {
            problems.push(problem);
        }
    }
    Ok(Cli {
        command: line.command,
        config: if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) },
        warnings: file.warnings.into_iter().chain(environment.warnings).collect(),
    })
}

fn apply(Setting { origin, key, value }: Setting, config: &mut Config) -> Result<(), String> {
    (key.set)(config, &value).map_err(|what| format!("{origin}: {what}"))
}

/// The one of `names` that somebody who wrote `name` most likely meant, if any is close.
fn suggest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = parse::sanitize(name).to_lowercase(); // cut, so that the distance is cheap
    names
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= name.len().max(candidate.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}
