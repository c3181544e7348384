//! The host that a request names, and the hosts that the server accepts.

use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Version};

/// Returns the host and port that a request names: in its URI, as HTTP/2 requests do, or in its `Host` header. Returns `None` if the
/// request is malformed (RFC 9112, 3.2): it has several `Host` headers, an invalid one, or none in HTTP/1.1.
pub(crate) fn host(head: &Parts) -> Option<&[u8]> {
    let mut values = head.headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
    let (first, second) = (values.next(), values.next());
    if second.is_some() || first.is_some_and(|host| !is_valid(host)) {
        return None;
    }
    match (head.uri.authority(), first) {
        (Some(authority), _) => Some(authority.as_str().as_bytes()),
        (None, Some(host)) => Some(host),
        (None, None) if head.version == Version::HTTP_11 => None,
        (None, None) => Some(b""),
    }
}

fn is_valid(host: &[u8]) -> bool {
    // Most hosts need no parser, which costs more than the rest of the routing.
    let name_length =
        host.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')).count();
    match &host[name_length..] {
        [] if name_length > 0 => return true,
        [b':', port @ ..] if name_length > 0 && is_port(port) => return true,
        _ => {}
    }
    let Ok(authority) = Authority::try_from(host) else { return false };
    let port = authority.as_str().strip_prefix(authority.host()); // `None` if there is user information
    port.is_some_and(|port| port.is_empty() || port == ":" || authority.port_u16().is_some())
}

/// Returns `true` for digits up to 65535 without leading zeros, and for none.
fn is_port(port: &[u8]) -> bool {
    port.iter().all(u8::is_ascii_digit) && (port.len() < 5 || (port.len() == 5 && port <= b"65535".as_slice()))
}

/// Returns `true` if one of the patterns is the host: `example.com` with any port, `example.com:8080`, or `*.example.com` for the names
/// below it.
pub(crate) fn is_allowed(host: &[u8], patterns: &[String]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let host = host.to_ascii_lowercase();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => &host,
    };
    patterns.iter().any(|pattern| match pattern.strip_prefix('*') {
        Some(suffix) => name.len() > suffix.len() && name.ends_with(suffix),
        None => *pattern == host || *pattern == name,
    })
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn a_pattern_is_a_name_a_name_with_its_port_or_the_names_below_one() {
        let patterns = ["example.com", "api.example.com:8080", "*.localhost", "[::1]"].map(str::to_owned);
        for host in ["example.com", "EXAMPLE.com:1", "api.example.com:8080", "a.localhost:80", "[::1]", "[::1]:8888"] {
            assert!(is_allowed(host.as_bytes(), &patterns), "{host}");
        }
        for host in ["", "evil.example", "example.com.evil", "api.example.com", "localhost", ".localhost", "[::2]:8888"]
        {
            assert!(!is_allowed(host.as_bytes(), &patterns), "{host}");
        }
    }
}
