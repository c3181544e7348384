//! Requests as lines of JSON: the bytes that tracing's layer writes for the event, at a fraction of its cost.

use std::cell::RefCell;
use std::time::Instant;

use serde::Serialize;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use super::access::{AccessLog, AccessLogEntry};
use super::writer::LogWriter;

const MICROS_PER_SECOND: u64 = 1_000_000;

/// The digits of a fraction of a second.
const FRACTION_DIGITS: usize = 6;

/// Writes a line of JSON for each request whose level is logged.
pub(super) struct JsonAccessLog {
    writer: LogWriter,
    max_level: LevelFilter,
}

impl JsonAccessLog {
    pub(super) fn new(writer: LogWriter, max_level: LevelFilter) -> Self {
        JsonAccessLog { writer, max_level }
    }
}

/// The memory in which a thread puts its lines together.
struct LineBuffer {
    clock: Clock,
    line: Vec<u8>,
}

thread_local! {
    static BUFFER: RefCell<LineBuffer> = const { RefCell::new(LineBuffer { clock: Clock::new(), line: Vec::new() }) };
}

impl AccessLog for JsonAccessLog {
    fn record(&self, entry: &AccessLogEntry<'_>) {
        let level = entry.level();
        if level > self.max_level {
            return;
        }
        let cause = entry.cause(); // may run a method's own code, so not while the buffer is borrowed
        BUFFER.with_borrow_mut(|LineBuffer { clock, line }| {
            line.clear();
            write_line(line, clock, level, entry, cause.as_deref());
            self.writer.push(line);
        });
    }
}

/// Appends the entry to `line`, with a newline.
fn write_line(line: &mut Vec<u8>, clock: &mut Clock, level: Level, entry: &AccessLogEntry<'_>, cause: Option<&str>) {
    let now = Instant::now();
    line.extend_from_slice(br#"{"timestamp":""#);
    line.extend_from_slice(clock.text(now));
    let id = match level {
        Level::ERROR => r#"","level":"ERROR","message":"call","id":"#,
        Level::WARN => r#"","level":"WARN","message":"call","id":"#,
        _ => r#"","level":"INFO","message":"call","id":"#,
    };
    append_plain(line, id, entry.request_id);
    if let Some(method) = entry.method {
        append_plain(line, r#","method":"#, method);
    }
    append(line, r#","code":"#, entry.code());
    append(line, r#","status":"#, entry.status.as_u16());
    append_milliseconds(line, r#","ms":"#, entry.microseconds(now));
    append_some(line, r#","user":"#, entry.user());
    append(line, r#","peer":"#, entry.peer);
    append_some(line, r#","cause":"#, cause);
    line.extend_from_slice(b"}\n");
}

/// Appends `name`, which is JSON already, and the value.
fn append(line: &mut Vec<u8>, name: &str, value: impl Serialize) {
    line.extend_from_slice(name.as_bytes());
    serde_json::to_writer(line, &value)
        .expect("a vector accepts every byte, and numbers and strings have a form in JSON");
}

/// Appends `name`, and a text of characters that JSON does not escape: a request id, or the name of a method.
fn append_plain(line: &mut Vec<u8>, name: &str, text: &str) {
    line.extend_from_slice(name.as_bytes());
    line.push(b'"');
    line.extend_from_slice(text.as_bytes());
    line.push(b'"');
}

/// Appends `name`, and microseconds as milliseconds with one to three decimals, as serde_json writes an `f64`.
fn append_milliseconds(line: &mut Vec<u8>, name: &str, micros: u64) {
    append(line, name, micros / 1000);
    let digit = |divisor: u64| b'0' + (micros / divisor % 10) as u8;
    let decimals = [digit(100), digit(10), digit(1)];
    let length = decimals.iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
    line.push(b'.');
    line.extend_from_slice(&decimals[..length]);
}

fn append_some(line: &mut Vec<u8>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        append(line, name, value);
    }
}

/// The time as tracing writes it. The system's clock is read and formatted once a second, and only the fraction is written in between.
struct Clock {
    text: Vec<u8>,
    /// The time of the last reading of the system's clock, and the microseconds of its fraction.
    reading: Option<(Instant, u64)>,
}

impl Clock {
    const fn new() -> Self {
        Clock { text: Vec::new(), reading: None }
    }

    fn text(&mut self, now: Instant) -> &[u8] {
        let micros = self
            .reading
            .map(|(read_at, fraction)| fraction + now.saturating_duration_since(read_at).as_micros() as u64);
        match micros.filter(|micros| *micros < MICROS_PER_SECOND) {
            Some(micros) => self.write_fraction(micros),
            None => self.read_system_clock(now),
        }
        &self.text
    }

    fn read_system_clock(&mut self, now: Instant) {
        let mut text = String::new();
        SystemTime.format_time(&mut Writer::new(&mut text)).expect("a string accepts every character");
        self.text = text.into_bytes();
        let digits = self.fraction_mut().iter().map(|digit| u64::from(digit - b'0'));
        self.reading = Some((now, digits.fold(0, |micros, digit| micros * 10 + digit)));
    }

    fn write_fraction(&mut self, mut micros: u64) {
        for digit in self.fraction_mut().iter_mut().rev() {
            *digit = b'0' + (micros % 10) as u8;
            micros /= 10;
        }
    }

    /// The digits before the final `Z`.
    fn fraction_mut(&mut self) -> &mut [u8] {
        let end = self.text.len() - 1;
        &mut self.text[end - FRACTION_DIGITS..end]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn system_time() -> String {
        let mut text = String::new();
        SystemTime.format_time(&mut Writer::new(&mut text)).expect("a string accepts every character");
        text
    }

    #[test]
    fn milliseconds_are_written_as_serde_json_writes_a_float() {
        for micros in [0, 1, 10, 66, 100, 999, 1_000, 1_500, 2_000, 10_020, 123_456, 3_600_000_000] {
            let mut line = Vec::new();
            append_milliseconds(&mut line, "", micros);
            assert_eq!(line, serde_json::to_vec(&(micros as f64 / 1000.0)).unwrap());
        }
    }

    #[test]
    fn the_clock_counts_within_a_second_and_is_read_again_in_the_next() {
        let (mut clock, start) = (Clock::new(), Instant::now());
        let after = |micros| start + Duration::from_micros(micros);
        let before = system_time();
        let first = String::from_utf8_lossy(clock.text(start)).into_owned();
        assert!(before <= first && first <= system_time(), "{before} {first}");

        clock.reading = Some((start, 999_990));
        let seconds = &first[..first.len() - "000000Z".len()];
        for (micros, fraction) in [(0, "999990Z"), (5, "999995Z"), (9, "999999Z")] {
            assert_eq!(clock.text(after(micros)), format!("{seconds}{fraction}").as_bytes());
        }
        clock.reading = Some((start, 42));
        assert_eq!(clock.text(start), format!("{seconds}000042Z").as_bytes());

        clock.reading = Some((start, 999_990));
        let before = system_time();
        let next = String::from_utf8_lossy(clock.text(after(10))).into_owned();
        assert!(before <= next && next <= system_time(), "{before} {next}");
        assert_eq!(clock.reading.map(|(read_at, _)| read_at), Some(after(10)));
    }
}
