//! How many requests of one client the server accepts: of each method with a `RATE`, and in total with `request_rate`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use method_sdk::{Error, Method, Rate, Result, code};

use crate::client_key::ClientKey;

/// The number of checks after which the clients are forgotten whose requests no longer count.
const CHECKS_BETWEEN_CLEANUPS: usize = 4096;

/// The limits of a server. Each process counts by itself.
pub(crate) struct RateLimits {
    general: Option<ClientLimiter>,
    /// The limiter of each method, with its rate, which development mode may change.
    methods: Mutex<HashMap<&'static str, (Rate, Arc<ClientLimiter>)>>,
}

impl RateLimits {
    /// Creates the limits; `general` is for all requests of a client together.
    pub(crate) fn new(general: Option<Rate>) -> Self {
        RateLimits { general: general.map(ClientLimiter::new), methods: Mutex::default() }
    }

    /// Counts a request of a client.
    ///
    /// # Errors
    /// Returns error 1013 (Too many requests) if it exceeds the general limit.
    pub(crate) fn check_request(&self, client: IpAddr) -> Result<()> {
        self.general.as_ref().map_or(Ok(()), |limiter| limiter.check(client))
    }

    /// Counts a call of a method by a client.
    ///
    /// # Errors
    /// Returns error 1013 (Too many requests) if it exceeds the method's limit.
    pub(crate) fn check_call(&self, method: &'static Method, client: IpAddr) -> Result<()> {
        method.rate.map_or(Ok(()), |rate| self.limiter(method.name, rate).check(client))
    }

    fn limiter(&self, method: &'static str, rate: Rate) -> Arc<ClientLimiter> {
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || (rate, Arc::new(ClientLimiter::new(rate)));
        let entry = methods.entry(method).or_insert_with(new);
        if entry.0 != rate {
            *entry = new();
        }
        entry.1.clone()
    }
}

/// The requests of each client against one rate.
struct ClientLimiter {
    limiter: DefaultKeyedRateLimiter<ClientKey>,
    clock: DefaultClock,
    checks: AtomicUsize,
}

impl ClientLimiter {
    fn new(rate: Rate) -> Self {
        let interval = (rate.period / rate.requests.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(interval).expect("the interval is not zero").allow_burst(rate.requests);
        ClientLimiter {
            limiter: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            checks: AtomicUsize::new(0),
        }
    }

    fn check(&self, client: IpAddr) -> Result<()> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CHECKS_BETWEEN_CLEANUPS == CHECKS_BETWEEN_CLEANUPS - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.limiter.check_key(&ClientKey::new(client)).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            Error::from(code::TOO_MANY_REQUESTS).with_retry_after(wait + Duration::from_secs(1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(text: &str) -> ClientLimiter {
        ClientLimiter::new(Rate::parse(text).unwrap())
    }

    #[test]
    fn a_client_has_a_burst_and_then_a_wait_and_others_are_not_affected() {
        let limiter = limiter("3/24h");
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        assert!((0..3).all(|_| limiter.check(client).is_ok()));
        let error = limiter.check(client).unwrap_err();
        let wait = error.retry_after_seconds().unwrap();
        assert!(error.code() == 1013 && (28_700..=28_801).contains(&wait), "{wait}");
        assert!(limiter.check("192.0.2.2".parse().unwrap()).is_ok());
        let same_network =
            ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"].map(|client| client.parse().unwrap());
        assert!(same_network[..3].iter().all(|client| limiter.check(*client).is_ok()));
        assert!(limiter.check(same_network[3]).is_err());
    }

    #[test]
    fn clients_whose_requests_no_longer_count_are_forgotten() {
        let limiter = limiter("1000/1s");
        for n in 0..3 * CHECKS_BETWEEN_CLEANUPS as u32 {
            let _ = limiter.check(std::net::Ipv4Addr::from(n).into());
            if n % 1024 == 0 {
                std::thread::sleep(Duration::from_millis(2)); // longer than the interval of a request
            }
        }
        assert!(limiter.limiter.len() <= CHECKS_BETWEEN_CLEANUPS, "{}", limiter.limiter.len());
    }

    #[test]
    fn the_fastest_and_the_slowest_rates_are_accepted() {
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        for text in ["4294967295/1s", "1/24h"] {
            assert!(limiter(text).check(client).is_ok(), "{text}");
        }
    }
}
