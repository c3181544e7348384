//! The table of configuration keys, and the [`Config`] that it defines.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use method_sdk::Rate;

use super::parse::{self, ValueError};
use super::types::{Database, Docs, LogFormat, LogLevel, Secret};

/// One configuration key.
#[derive(Debug)]
pub(crate) struct Key {
    /// The name in `server.conf` and on the command line. The environment variable is `SIMPLEAPI_` and the name in capitals.
    pub(crate) name: &'static str,
    /// The default as `server.conf` would state it; empty means none.
    pub(crate) default: &'static str,
    /// The purpose of the key, in one line.
    pub(crate) help: &'static str,
    /// The value is a secret, which no message shows.
    pub(crate) is_secret: bool,
    /// The placeholder for the value in help.
    pub(crate) value_name: &'static str,
    pub(super) set: fn(&mut Config, &str) -> Result<(), ValueError>,
}

macro_rules! keys {
    ($(#[doc = $help:literal] $name:ident: $type:ty = $default:literal, $parser:ident;)*) => {
        /// The configuration of a server.
        ///
        /// The default is the configuration of an empty `server.conf`.
        ///
        /// ```
        /// let mut config = simpleapi_server::Config::default();
        /// config.port = 0;
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Config {
            $(#[doc = $help] pub $name: $type,)*
        }

        impl Default for Config {
            fn default() -> Self {
                Self {
                    $($name: (parse::$parser.parse)($default).expect("a test parses every default"),)*
                }
            }
        }

        /// Every key, in the order of help and of `server.conf`.
        pub(crate) const KEYS: &[Key] = &[$(Key {
            name: stringify!($name),
            default: $default,
            help: $help.trim_ascii(),
            is_secret: parse::$parser.is_secret,
            value_name: parse::$parser.value_name,
            set: |config, text| {
                config.$name = (parse::$parser.parse)(text)?;
                Ok(())
            },
        },)*];
    };
}

keys! {
    /// Address to listen on; 0.0.0.0 in a container, :: for IPv6
    address: IpAddr = "127.0.0.1", ADDRESS;
    /// Port to listen on; 0 picks a free port
    port: u16 = "8888", PORT;
    /// Database for accounts and sessions: sqlite, mongodb, mysql or postgres
    database: Database = "sqlite", DATABASE;
    /// SQLite: file, relative to the folder of the application, or else to the working directory; created if it does not exist
    sqlite_path: PathBuf = "simpleapi.db", PATH;
    /// MongoDB: host
    mongodb_host: String = "localhost", TEXT;
    /// MongoDB: port
    mongodb_port: u16 = "27017", REMOTE_PORT;
    /// MongoDB: database
    mongodb_database: String = "simple_api_server", TEXT;
    /// MongoDB: connection URL, instead of host and port
    mongodb_url: Option<Secret> = "", MONGODB_URL;
    /// MySQL: host, with the port after a colon
    mysql_host: String = "localhost:3306", TEXT;
    /// MySQL: database
    mysql_database: String = "simple_api_server", TEXT;
    /// MySQL: user
    mysql_user: Option<String> = "", OPTIONAL_TEXT;
    /// MySQL: password of that user
    mysql_password: Option<Secret> = "", SECRET;
    /// MySQL: connection URL, instead of host, database, user and password
    mysql_url: Option<Secret> = "", MYSQL_URL;
    /// PostgreSQL: connection URL
    postgres_url: Option<Secret> = "", POSTGRES_URL;
    /// Maximum number of connections from this server to the database
    database_connections: u32 = "10", POOL_SIZE;
    /// Time limit for the database, connecting included; a call that exceeds it returns error 1016
    database_timeout: Duration = "5s", SHORT_TIMEOUT;
    /// Lifetime of a session, from its creation
    session_ttl: Duration = "24h", TIMEOUT;
    /// Maximum number of sessions of one account; a login beyond it ends the oldest
    max_sessions_per_account: u32 = "100", COUNT;
    /// Maximum size of a request body, in bytes
    max_body: usize = "1m", SIZE;
    /// Maximum memory of request bodies and responses in progress, in bytes; one client may use a quarter
    max_memory_in_flight: usize = "256m", SIZE;
    /// Maximum number of open connections
    max_connections: u32 = "4096", COUNT;
    /// Maximum number of open connections from one address, and of requests in progress of one client behind a trusted proxy
    max_connections_per_address: u32 = "256", COUNT;
    /// Time limit for the first byte of a new connection
    first_byte_timeout: Duration = "10s", TIMEOUT;
    /// Time limit for the next request on a connection to begin, for its headers, and for a client to take a part of a response
    idle_timeout: Duration = "30s", TIMEOUT;
    /// Time limit for receiving a request body
    body_timeout: Duration = "30s", TIMEOUT;
    /// Time limit for a client to take a response; methods that stream have none
    response_timeout: Duration = "5m", TIMEOUT;
    /// Time limit for a method that sets none of its own; 0 means no limit
    request_timeout: Option<Duration> = "30s", LIMIT;
    /// Time for which a stopping server still accepts connections, so that load balancers notice
    shutdown_delay: Duration = "1s", DELAY;
    /// Time limit for the calls in flight when the server stops
    drain_timeout: Duration = "30s", DELAY;
    /// Maximum rate of requests from one client, such as 100/1s or 6000/1h; none means no limit
    request_rate: Option<Rate> = "", RATE;
    /// Networks whose X-Forwarded-For or Forwarded header is trusted, separated by commas
    trusted_proxies: Vec<IpNet> = "", NETWORKS;
    /// Origins whose scripts may call from a browser (CORS), separated by commas
    allow_origins: Vec<String> = "", ORIGINS;
    /// Request headers that scripts of those origins may send beside the server's own, separated by commas
    allow_headers: Vec<HeaderName> = "", HEADERS;
    /// Names by which clients reach the server, separated by commas, such as api.example.com; none means any name
    allowed_hosts: Vec<String> = "", HOSTS;
    /// Page at /docs and OpenAPI document at /openapi.json: dev serves them in development mode alone, on always, off never
    docs: Docs = "dev", DOCS;
    /// Log format: pretty, json, or auto, which is pretty on a terminal and json elsewhere
    log_format: LogFormat = "auto", LOG_FORMAT;
    /// Minimum level that is logged: error, warn, info, debug or trace
    log_level: LogLevel = "info", LOG_LEVEL;
}

/// Returns the key whose name is `name`.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Returns the name of every key.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// Returns the most similar of `names`, if one is similar enough for `name` to be a typo of it.
pub(super) fn suggest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = parse::sanitize(name).to_lowercase(); // shortened, so that the distance is cheap
    let length = name.chars().count();
    let is_typo = |distance: usize, candidate: &str| distance <= length.max(candidate.len()) / 3;
    names
        .into_iter()
        .filter(|candidate| is_typo(length.abs_diff(candidate.len()), candidate)) // the least that the distance can be
        .map(|candidate| (strsim::osa_distance(&name, candidate), candidate))
        .filter(|(distance, candidate)| is_typo(*distance, candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
