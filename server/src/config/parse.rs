//! Parsers that turn the text of a value into its type. An error names what is accepted and never shows a secret.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use method_sdk::Rate;
use thiserror::Error;

use super::types::{Database, Docs, LogFormat, LogLevel, Secret};

/// A hundred years: far below the duration at which adding to an instant overflows.
const MAX_DURATION: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

const MAX_SHORT_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// 1 GiB: a body is held in memory.
const MAX_BODY_BYTES: u64 = 1 << 30;

/// The reason why a value is rejected.
#[derive(Debug, Error)]
pub(crate) enum ValueError {
    /// The value is empty and the key has no value that means "none".
    #[error("the value must not be empty")]
    Empty,
    /// The duration is 0 and the key needs a time limit.
    #[error("`{0}` is too short; the minimum is `1s`")]
    TooShort(String),
    /// The value, sanitized, is not in the accepted form.
    #[error("`{value}` is not {accepted}")]
    Invalid {
        /// The sanitized value.
        value: String,
        /// A noun phrase for the accepted form.
        accepted: Cow<'static, str>,
    },
    /// The URL, which may contain a password and is not shown, has another scheme.
    #[error("the URL must start with {0}")]
    Scheme(String),
}

fn invalid(text: &str, accepted: impl Into<Cow<'static, str>>) -> ValueError {
    ValueError::Invalid { value: sanitize(text), accepted: accepted.into() }
}

/// Returns `text` as a message may show it: shortened, and without characters that control a terminal.
pub(super) fn sanitize(text: &str) -> String {
    const MAX_CHARS: usize = 64;
    let mut sanitized: String = text.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        sanitized.push_str("...");
    }
    sanitized
}

/// The parser for the values of a key, and how help shows them.
pub(super) struct ValueParser<T> {
    /// The placeholder for the value in help.
    pub(super) value_name: &'static str,
    /// The value is a secret.
    pub(super) is_secret: bool,
    pub(super) parse: fn(&str) -> Result<T, ValueError>,
}

const fn public<T>(value_name: &'static str, parse: fn(&str) -> Result<T, ValueError>) -> ValueParser<T> {
    ValueParser { value_name, is_secret: false, parse }
}

const fn secret<T>(value_name: &'static str, parse: fn(&str) -> Result<T, ValueError>) -> ValueParser<T> {
    ValueParser { value_name, is_secret: true, parse }
}

pub(super) const ADDRESS: ValueParser<IpAddr> = public("IP", address);
pub(super) const PORT: ValueParser<u16> = public("PORT", |text| number(text, 0..=u16::MAX));
pub(super) const REMOTE_PORT: ValueParser<u16> = public("PORT", |text| number(text, 1..=u16::MAX));
pub(super) const COUNT: ValueParser<u32> = public("NUMBER", |text| number(text, 1..=u32::MAX));
pub(super) const TEXT: ValueParser<String> = public("TEXT", non_empty);
pub(super) const OPTIONAL_TEXT: ValueParser<Option<String>> = public("TEXT", |text| Ok(optional(text)));
/// A number of connections to a database.
pub(super) const POOL_SIZE: ValueParser<u32> = public("NUMBER", |text| number(text, 1..=10_000));
pub(super) const PATH: ValueParser<PathBuf> = public("PATH", |text| non_empty(text).map(PathBuf::from));
pub(super) const SECRET: ValueParser<Option<Secret>> = secret("TEXT", |text| Ok(optional(text)));
pub(super) const MONGODB_URL: ValueParser<Option<Secret>> =
    secret("URL", |text| url(text, &["mongodb://", "mongodb+srv://"]));
pub(super) const MYSQL_URL: ValueParser<Option<Secret>> = secret("URL", |text| url(text, &["mysql://", "mariadb://"]));
pub(super) const POSTGRES_URL: ValueParser<Option<Secret>> =
    secret("URL", |text| url(text, &["postgres://", "postgresql://"]));
pub(super) const SIZE: ValueParser<usize> = public("SIZE", size);
/// A duration that may be 0.
pub(super) const DELAY: ValueParser<Duration> = public("DURATION", duration);
/// A duration of at least a second.
pub(super) const TIMEOUT: ValueParser<Duration> = public("DURATION", timeout);
/// A duration from a second to an hour: SQLite and the drivers count it in milliseconds of 32 bits.
pub(super) const SHORT_TIMEOUT: ValueParser<Duration> = public("DURATION", short_timeout);
/// A duration, or 0 for none.
pub(super) const LIMIT: ValueParser<Option<Duration>> = public("DURATION", limit);
pub(super) const RATE: ValueParser<Option<Rate>> = public("RATE", rate);
pub(super) const NETWORKS: ValueParser<Vec<IpNet>> = public("NETWORKS", |text| list(text, network));
pub(super) const ORIGINS: ValueParser<Vec<String>> = public("ORIGINS", |text| list(text, origin));
pub(super) const HEADERS: ValueParser<Vec<HeaderName>> = public("HEADERS", |text| list(text, header));
pub(super) const HOSTS: ValueParser<Vec<String>> = public("HOSTS", |text| list(text, host));
pub(super) const DATABASE: ValueParser<Database> = public("NAME", |text| choice(text, Database::NAMES));
pub(super) const DOCS: ValueParser<Docs> = public("NAME", |text| choice(text, Docs::NAMES));
pub(super) const LOG_FORMAT: ValueParser<LogFormat> = public("NAME", |text| choice(text, LogFormat::NAMES));
pub(super) const LOG_LEVEL: ValueParser<LogLevel> = public("NAME", |text| choice(text, LogLevel::NAMES));

fn address(text: &str) -> Result<IpAddr, ValueError> {
    text.parse().map_err(|_| invalid(text, "an IP address such as `127.0.0.1` or `::1`"))
}

fn optional<T: From<String>>(text: &str) -> Option<T> {
    (!text.is_empty()).then(|| text.to_owned().into())
}

fn non_empty(text: &str) -> Result<String, ValueError> {
    optional(text).ok_or(ValueError::Empty)
}

fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, ValueError> {
    choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        invalid(text, format!("one of {}", names.join(", ")))
    })
}

fn url(text: &str, schemes: &[&str]) -> Result<Option<Secret>, ValueError> {
    if text.is_empty() || schemes.iter().any(|scheme| text.starts_with(scheme)) {
        return Ok(optional(text));
    }
    let schemes: Vec<_> = schemes.iter().map(|scheme| format!("`{scheme}`")).collect();
    Err(ValueError::Scheme(schemes.join(" or ")))
}

/// Parses decimal digits and nothing else: no sign, no point, no space.
fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn number<T: TryFrom<u64> + PartialOrd + fmt::Display>(
    text: &str,
    accepted: RangeInclusive<T>,
) -> Result<T, ValueError> {
    digits(text)
        .and_then(|number| T::try_from(number).ok())
        .filter(|number| accepted.contains(number))
        .ok_or_else(|| invalid(text, format!("a number from {} to {}", accepted.start(), accepted.end())))
}

/// Parses digits, optionally followed by one of `units`.
fn quantity(text: &str, units: &[(char, u64)]) -> Option<u64> {
    let (number, unit) =
        units.iter().find_map(|(letter, unit)| Some((text.strip_suffix(*letter)?, *unit))).unwrap_or((text, 1));
    digits(number)?.checked_mul(unit)
}

fn size(text: &str) -> Result<usize, ValueError> {
    quantity(text, &[('k', 1 << 10), ('m', 1 << 20)])
        .filter(|bytes| (1..=MAX_BODY_BYTES).contains(bytes))
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| invalid(text, "a size; write `64k`, `1m` or plain bytes, from 1 to `1024m`"))
}

fn duration(text: &str) -> Result<Duration, ValueError> {
    quantity(text, &[('s', 1), ('m', 60), ('h', 60 * 60)])
        .map(Duration::from_secs)
        .filter(|duration| *duration <= MAX_DURATION)
        .ok_or_else(|| invalid(text, "a duration; write `30s`, `15m`, `24h` or plain seconds, up to 100 years"))
}

fn limit(text: &str) -> Result<Option<Duration>, ValueError> {
    Ok(Some(duration(text)?).filter(|duration| !duration.is_zero()))
}

fn timeout(text: &str) -> Result<Duration, ValueError> {
    limit(text)?.ok_or_else(|| ValueError::TooShort(sanitize(text)))
}

fn short_timeout(text: &str) -> Result<Duration, ValueError> {
    let limit = timeout(text)?;
    if limit <= MAX_SHORT_TIMEOUT { Ok(limit) } else { Err(invalid(text, "a duration from `1s` to `1h`")) }
}

/// Parses comma-separated entries; an empty text is an empty list.
fn list<T>(text: &str, parse: fn(&str) -> Result<T, ValueError>) -> Result<Vec<T>, ValueError> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(|entry| parse(entry.trim())).collect()
}

fn rate(text: &str) -> Result<Option<Rate>, ValueError> {
    if text.is_empty() {
        return Ok(None);
    }
    let rate = Rate::parse(text)
        .ok_or_else(|| invalid(text, "a rate; write `100/1s`, `600/15m` or `6000/1h`, up to a day"))?;
    Ok(Some(rate))
}

fn network(text: &str) -> Result<IpNet, ValueError> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map(canonical).map_err(|_| invalid(text, "an IP address or a network such as `10.0.0.0/8` or `fd00::/8`"))
}

/// Returns the IPv4 network for one that is written as IPv6 (`::ffff:10.0.0.0/104`), because addresses are compared in that form.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED_PREFIX: u8 = 96;
    match (network.addr().to_canonical(), network.prefix_len().checked_sub(MAPPED_PREFIX)) {
        (IpAddr::V4(address), Some(prefix)) if network.addr().is_ipv6() => {
            IpNet::new(address.into(), prefix).expect("an IPv6 prefix is up to 128, so that this one is up to 32")
        }
        _ => network,
    }
}

fn header(text: &str) -> Result<HeaderName, ValueError> {
    text.parse().map_err(|_| invalid(text, "the name of a header such as `x-client-version`"))
}

/// Parses `example.com`, `example.com:8080` or `*.example.com`.
fn host(text: &str) -> Result<String, ValueError> {
    let lower = text.to_ascii_lowercase();
    let name = lower.strip_prefix("*.").unwrap_or(&lower);
    let (name, port) = match name.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, number(port, 1..=u16::MAX).is_ok()),
        _ => (name, true),
    };
    if !port || !is_host(name) {
        return Err(invalid(text, "a host; write `api.example.com`, `localhost:8888` or `*.example.com`"));
    }
    Ok(lower)
}

/// Normalizes an origin to the form that browsers send (RFC 6454, 6.2), so that origins are compared as bytes.
fn origin(text: &str) -> Result<String, ValueError> {
    if text.contains('*') {
        return Err(invalid(text, "an exact origin; responses may carry a session, so list each origin by itself"));
    }
    let not_an_origin =
        || invalid(text, "an origin; write `https://example.com` or `http://localhost:3000`, with nothing after it");
    let lower = text.to_ascii_lowercase();
    let (scheme, authority) = lower.split_once("://").ok_or_else(not_an_origin)?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, Some(number(port, 1..=u16::MAX).map_err(|_| not_an_origin())?))
        }
        _ => (authority, None),
    };
    if !is_scheme(scheme) || !is_host(host) {
        return Err(not_an_origin());
    }
    Ok(match (scheme, port) {
        // Browsers omit the default port.
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    })
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    }
}
