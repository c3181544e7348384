//! Texts read into values; every refusal says what is accepted, and none shows a secret.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;

use super::types::Secret;

/// A hundred years: far from where adding to an instant overflows.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// 1 GiB: a body is held in memory.
const LARGEST_BODY: u64 = 1 << 30;

/// `text` as a message may show it: cut, and without what would move a terminal's cursor.
pub(super) fn sanitize(text: &str) -> String {
    const MOST: usize = 64;
    let mut sanitize: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        sanitize.push_str("...");
    }
    sanitize
}

pub(super) fn invalid(text: &str, accepted: &str) -> String {
    format!("`{}` is not {accepted}", sanitize(text))
}

pub(super) fn optional<T: From<String>>(text: &str) -> Option<T> {
    (!text.is_empty()).then(|| text.to_owned().into())
}

pub(super) fn non_empty(text: &str) -> Result<String, String> {
    optional(text).ok_or_else(|| "must not be empty".to_owned())
}

pub(super) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        invalid(text, &format!("one of {}", names.join(", ")))
    })
}

pub(super) fn url(text: &str, schemes: &[&str]) -> Result<Option<Secret>, String> {
    if text.is_empty() || schemes.iter().any(|scheme| text.starts_with(scheme)) {
        return Ok(optional(text));
    }
    let schemes: Vec<_> = schemes.iter().map(|scheme| format!("`{scheme}`")).collect();
    Err(format!("<redacted> does not start with {}", schemes.join(" or ")))
}

/// Decimal digits and nothing else: no sign, no point, no space.
fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

pub(super) fn number<T: TryFrom<u64> + PartialOrd + fmt::Display>(
    text: &str,
    accepted: RangeInclusive<T>,
) -> Result<T, String> {
    digits(text)
        .and_then(|number| T::try_from(number).ok())
        .filter(|number| accepted.contains(number))
        .ok_or_else(|| invalid(text, &format!("a number from {} to {}", accepted.start(), accepted.end())))
}

/// Digits with one of `units` behind them, or plain digits.
fn quantity(text: &str, units: &[(char, u64)]) -> Option<u64> {
    let (number, unit) =
        units.iter().find_map(|(letter, unit)| Some((text.strip_suffix(*letter)?, *unit))).unwrap_or((text, 1));
    digits(number)?.checked_mul(unit)
}

pub(super) fn size(text: &str) -> Result<usize, String> {
    quantity(text, &[('k', 1 << 10), ('m', 1 << 20)])
        .filter(|bytes| (1..=LARGEST_BODY).contains(bytes))
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| invalid(text, "a size; write `64k`, `1m` or plain bytes, from 1 to `1024m`"))
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    quantity(text, &[('s', 1), ('m', 60), ('h', 60 * 60)])
        .map(Duration::from_secs)
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| invalid(text, "a duration; write `30s`, `15m`, `24h` or plain seconds, up to 100 years"))
}

pub(super) fn limit(text: &str) -> Result<Option<Duration>, String> {
    Ok(Some(duration(text)?).filter(|duration| !duration.is_zero()))
}

/// What stands between commas; an empty text is an empty list.
pub(super) fn list<T>(text: &str, read: fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(|entry| read(entry.trim())).collect()
}

pub(super) fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| invalid(text, "an IP address or a network such as `10.0.0.0/8` or `fd00::/8`"))
}

/// An origin exactly as a browser sends it (RFC 6454, 6.2), so that comparing is comparing bytes.
pub(super) fn origin(text: &str) -> Result<String, String> {
    if text.contains('*') {
        return Err(invalid(text, "an exact origin; answers may carry a session, so each origin is listed by itself"));
    }
    let refused =
        || invalid(text, "an origin; write `https://example.com` or `http://localhost:3000`, with nothing after it");
    let lower = text.to_ascii_lowercase();
    let (scheme, authority) = lower.split_once("://").ok_or_else(refused)?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(number(port, 1..=u16::MAX).map_err(|_| refused())?)),
        _ => (authority, None),
    };
    let scheme_fits = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !scheme_fits || !is_host(host) {
        return Err(refused());
    }
    Ok(match (scheme, port) {
        // A browser leaves these out, and would never match.
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    })
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    }
}
