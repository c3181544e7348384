//! A limit of requests in a time, such as `10/60s`.

use std::num::NonZeroU32;
use std::time::Duration;

/// A number of requests in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The number of requests: also how many may come at the same time.
    pub requests: NonZeroU32,
    /// The time in which they may come.
    pub period: Duration,
}

/// The longest period: a day.
const MAX_SECONDS: u64 = 24 * 60 * 60;

impl Rate {
    /// Parses a rate such as `10/60s`, `100/15m` or `600/1h`. Returns `None` for any other text, and for more than a day.
    pub const fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let Some((requests, rest)) = digits(bytes) else { return None };
        let [b'/', rest @ ..] = rest else { return None };
        let Some((number, rest)) = digits(rest) else { return None };
        let unit = match rest {
            [b's'] => 1,
            [b'm'] => 60,
            [b'h'] => 60 * 60,
            _ => return None,
        };
        if requests > u32::MAX as u64 || number == 0 || number > MAX_SECONDS / unit {
            return None;
        }
        let Some(requests) = NonZeroU32::new(requests as u32) else { return None };
        Some(Rate { requests, period: Duration::from_secs(number * unit) })
    }

    /// Parses the constant `RATE` of a method, while it is compiled.
    ///
    /// # Panics
    /// Panics, which is an error of the compiler, if the text is not a rate.
    pub const fn of_method(text: &str) -> Self {
        match Rate::parse(text) {
            Some(rate) => rate,
            None => panic!("`RATE` is not a number of requests in a time; write `pub const RATE: &str = \"10/60s\";`"),
        }
    }
}

/// Returns the number at the beginning of a text, and the rest; `None` if there is none, or it has more than ten digits.
const fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    const MAX_DIGITS: usize = 10;
    let (mut number, mut rest, mut count) = (0, text, 0);
    while let [digit @ b'0'..=b'9', others @ ..] = rest {
        number = number * 10 + (*digit - b'0') as u64;
        rest = others;
        count += 1;
        if count > MAX_DIGITS {
            return None;
        }
    }
    if count == 0 { None } else { Some((number, rest)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_a_slash_and_a_time() {
        let rate = |text| Rate::parse(text).map(|rate| (rate.requests.get(), rate.period.as_secs()));
        assert_eq!(rate("10/60s"), Some((10, 60)));
        assert_eq!(rate("1/15m"), Some((1, 900)));
        assert_eq!(rate("4294967295/24h"), Some((u32::MAX, 86_400)));
        for text in [
            "", "10", "10/", "/60s", "10/60", "10/s", "0/1s", "10/0s", "-1/1s", "10/60 s", "10 / 60s", "10/60S",
            "10/25h", "1.5/1s",
        ] {
            assert_eq!(rate(text), None, "{text}");
        }
        assert_eq!(rate("4294967296/1s"), None);
        assert_eq!(rate("99999999999999999999/1s"), None);
    }
}
