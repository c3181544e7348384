//! Lines of requests: their bytes, their levels and their limits.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, StatusCode};
use method_sdk::host::RequestInfo;
use method_sdk::{Error, code};
use serde_json::Value;
use tracing::level_filters::LevelFilter;

use super::json::JsonAccessLog;
use super::writer::{Batch, LogThread};
use super::{AccessLog, AccessLogEntry, EventAccessLog, LogWriter, level_filter, subscriber};
use crate::call::codec::{CallResult, EncodedResponse, encode};
use crate::config::{Config, LogLevel};

/// Returns what `record` sends to a log.
fn logged(record: impl FnOnce(&LogWriter)) -> String {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let sink = bytes.clone();
    let write = move |batch: &mut Batch| batch.write_to(&mut *sink.lock().unwrap());
    let thread = LogThread::start_with(write, |_| {}).unwrap();
    record(thread.writer());
    drop(thread);
    String::from_utf8(bytes.lock().unwrap().clone()).unwrap()
}

/// Returns the line of the entry as an event that tracing's layer writes.
fn event_line(config: &Config, entry: &AccessLogEntry<'_>) -> String {
    logged(|writer| {
        let subscriber = subscriber(config, writer.clone()).json().flatten_event(true).finish();
        tracing::subscriber::with_default(subscriber, || EventAccessLog.record(entry));
    })
}

fn json_line(config: &Config, entry: &AccessLogEntry<'_>) -> String {
    logged(|writer| JsonAccessLog::new(writer.clone(), level_filter(config)).record(entry))
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))
}

/// Returns the line without its two times, and the times.
fn split(line: &str) -> (String, String, f64) {
    let (timestamp, rest) = line.strip_prefix(r#"{"timestamp":""#).unwrap().split_once('"').unwrap();
    let (before, rest) = rest.split_once(r#""ms":"#).unwrap();
    let (milliseconds, after) = rest.split_once(',').unwrap();
    (format!("{before}|{after}"), timestamp.to_owned(), milliseconds.parse().unwrap())
}

fn request(peer: &str) -> RequestInfo {
    let (head, ()) = http::Request::new(()).into_parts();
    RequestInfo::new("0f1e2d3c4b5a6978-2a".to_owned(), peer.parse::<IpAddr>().unwrap(), head)
}

fn success() -> EncodedResponse {
    let (status, headers) = (StatusCode::CREATED, HeaderMap::new());
    encode(CallResult::Success { status, headers, body: None }, true)
}

fn failure(error: Error) -> EncodedResponse {
    encode(CallResult::Failure(error), true)
}

fn parse_error() -> Error {
    Error::from("x".parse::<u8>().unwrap_err())
}

#[test]
fn a_line_has_the_bytes_that_tracings_layer_writes_for_the_event() {
    let strange = "quote \" backslash \\ newline \n tab \t nul \0 escape \u{1b}[31m delete \u{7f} next line \u{85} \u{2028} ä \u{1f980}";
    let (config, four, six) = (Config::default(), request("192.0.2.1"), request("2001:db8::1"));
    let cases = [
        (&four, Some("demo.hello"), None, success()),
        (&six, Some("demo.echo"), Some("alice"), success()),
        (&six, None, None, failure(code::UNKNOWN_METHOD.into())),
        (&four, Some("demo.echo"), Some(strange), failure(Error::new(2001, "no").with_source(strange))),
        (&four, Some("demo.echo"), Some(""), failure(parse_error())),
        (&four, None, Some("bob"), failure(Error::unavailable("unreachable"))),
    ];
    for (request, method, user, response) in &cases {
        let entry = AccessLogEntry::new(request, *method, *user, response);
        let (expected, line) = (event_line(&config, &entry), json_line(&config, &entry));
        let (expected, first_time, first_milliseconds) = split(&expected);
        let (actual, time, milliseconds) = split(&line);
        assert_eq!(actual, expected);
        assert!(actual.ends_with("}\n") && json(&line).is_object());
        assert!(first_milliseconds <= milliseconds, "{first_milliseconds}, {milliseconds}");
        assert_eq!(time.len(), first_time.len());
        assert!(first_time <= time, "{first_time}, {time}");
    }
}

#[test]
fn a_line_is_logged_up_to_the_level_and_with_its_own() {
    let request = request("192.0.2.1");
    let responses = [
        (success(), "INFO", LevelFilter::INFO),
        (failure(code::INVALID_HMAC.into()), "INFO", LevelFilter::INFO),
        (failure(code::SERVICE_UNAVAILABLE.into()), "WARN", LevelFilter::WARN),
        (failure(parse_error()), "ERROR", LevelFilter::ERROR),
    ];
    for log_level in [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace] {
        let config = Config { log_level, ..Config::default() };
        for (response, name, level) in &responses {
            let entry = AccessLogEntry::new(&request, None, None, response);
            for line in [event_line(&config, &entry), json_line(&config, &entry)] {
                if *level <= level_filter(&config) {
                    assert_eq!(json(&line)["level"], *name);
                } else {
                    assert_eq!(line, "", "{name} at {log_level:?}");
                }
            }
        }
    }
}

/// An error whose text counts how often it is read.
#[derive(Debug)]
struct Counted(Arc<Mutex<usize>>);

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        *self.0.lock().unwrap() += 1;
        f.write_str("counted")
    }
}

impl std::error::Error for Counted {}

#[test]
fn the_cause_of_a_request_that_is_not_logged_is_not_formatted() {
    let (reads, request) = (Arc::new(Mutex::new(0)), request("192.0.2.1"));
    let response = failure(Error::new(2001, "no").with_source(Counted(reads.clone())));
    let entry = AccessLogEntry::new(&request, None, None, &response);
    let config = Config { log_level: LogLevel::Warn, ..Config::default() };
    assert_eq!(event_line(&config, &entry) + &json_line(&config, &entry), "");
    assert_eq!(*reads.lock().unwrap(), 0);
    let config = Config::default();
    assert!(event_line(&config, &entry).contains("counted") && json_line(&config, &entry).contains("counted"));
    assert_eq!(*reads.lock().unwrap(), 2);
}

#[test]
fn a_long_user_id_and_a_long_cause_are_cut_between_characters() {
    let (request, long) = (request("192.0.2.1"), "ä".repeat(5000));
    let odd = format!("x{long}");
    let response = failure(Error::new(2001, "no").with_source(odd.clone()));
    let entry = AccessLogEntry::new(&request, None, Some(&odd), &response);
    for line in [event_line(&Config::default(), &entry), json_line(&Config::default(), &entry)] {
        let line = json(&line);
        assert_eq!(line["user"], odd[..255], "256 bytes end within a character");
        assert_eq!(line["cause"], odd[..1023], "1,024 bytes end within a character");
    }
}
