//! The queue of the log's lines, and the thread that writes them to standard error.
//!
//! No caller waits for the reader of the log: lines that do not fit into the queue are dropped and counted, and a line says how many.

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// The most bytes that wait for the thread: the lines of 15,000 calls.
const MAX_QUEUED_BYTES: usize = 4 * 1024 * 1024;

/// The thread writes when this many bytes wait, as much as a pipe holds on Linux, or after `GATHER_TIME`.
const GATHERED_BYTES: usize = 64 * 1024;

/// The memory that an empty queue keeps, in bytes.
const KEPT_BYTES: usize = 2 * GATHERED_BYTES;

/// The time for which the thread gathers lines after the first: they cost one wake-up and one write together.
const GATHER_TIME: Duration = Duration::from_millis(2);

/// The time between attempts while standard error refuses lines.
const RETRY_TIME: Duration = Duration::from_millis(100);

/// The most that the end of the log waits for the reader of standard error.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The target of the event that reports dropped lines.
const DROPPED: &str = "simpleapi::log";

/// A handle to the queue.
#[derive(Clone)]
pub(crate) struct LogWriter(Arc<Queue>);

struct Queue {
    state: Mutex<State>,
    /// Notifies the thread of the first line and of the end.
    work: Condvar,
    /// Notifies those who close the log that the thread has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// The lines that were dropped and not reported yet.
    dropped: u64,
    /// The last write failed, so that a report of the dropped lines would fail too.
    is_failing: bool,
    /// The thread waits for the first line.
    is_idle: bool,
    is_closed: bool,
    has_ended: bool,
}

impl State {
    /// Returns the number of dropped lines that can be reported now.
    fn reportable(&self) -> u64 {
        if self.is_failing { 0 } else { self.dropped }
    }

    fn has_work(&self) -> bool {
        !self.lines.is_empty() || self.reportable() > 0
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a line if it fits into `max_bytes`, and counts it as dropped otherwise.
    fn push(&self, line: &[u8], max_bytes: usize) {
        let mut state = self.lock();
        if state.lines.len() + line.len() > max_bytes {
            state.dropped += 1;
            return;
        }
        state.lines.extend_from_slice(line);
        let was_idle = mem::take(&mut state.is_idle);
        drop(state);
        if was_idle {
            self.work.notify_one();
        }
    }

    /// Waits for lines and moves them to `batch`. Returns the number of lines that were dropped after them, or `None` at the end.
    fn next_batch(&self, batch: &mut Batch) -> Option<u64> {
        let mut state = self.lock();
        state.is_idle = true;
        state = wait(self.work.wait_while(state, |state| !state.has_work() && !state.is_closed));
        state.is_idle = false;
        let is_gathering = |state: &mut State| !state.is_closed && state.lines.len() < GATHERED_BYTES;
        state = wait(self.work.wait_timeout_while(state, GATHER_TIME, is_gathering)).0;
        if !state.has_work() {
            return None;
        }
        batch.take(&mut state.lines);
        let dropped = state.reportable();
        state.dropped -= dropped;
        Some(dropped)
    }

    /// Counts the lines of a failed write, and waits before the next attempt. Returns `false` if there is none.
    fn retry_after(&self, lost: u64) -> bool {
        let mut state = self.lock();
        state.dropped += lost;
        state.is_failing = true;
        !wait(self.work.wait_timeout_while(state, RETRY_TIME, |state| !state.is_closed)).0.is_closed
    }

    /// Passes batches to `write` until the log is closed, and the number of dropped lines to `report`, which pushes a line.
    fn run(&self, mut write: impl FnMut(&mut Batch) -> Result<(), u64>, report: impl Fn(u64)) {
        let mut batch = Batch::default();
        while let Some(dropped) = self.next_batch(&mut batch) {
            if dropped > 0 {
                report(dropped);
            }
            match write(&mut batch) {
                Ok(()) => self.lock().is_failing = false,
                Err(lost) if self.retry_after(lost) => {}
                Err(_) => break,
            }
        }
        self.lock().has_ended = true;
        self.ended.notify_all();
    }
}

/// Returns the guard that a condition variable returns: a panic elsewhere leaves the state whole.
fn wait<T>(result: Result<T, PoisonError<T>>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}

impl LogWriter {
    fn new() -> Self {
        let (state, work, ended) = Default::default();
        LogWriter(Arc::new(Queue { state, work, ended }))
    }

    /// Queues a line, which ends with a newline, or drops and counts it if the queue is full. Never waits for the log's reader.
    pub(crate) fn push(&self, line: &[u8]) {
        self.0.push(line, MAX_QUEUED_BYTES);
    }

    /// Ends the log: writes what is queued, as far as the reader of standard error takes it within a second.
    pub(crate) fn close(&self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        self.0.work.notify_one();
        let _ended = wait(self.0.ended.wait_timeout_while(state, CLOSE_TIMEOUT, |state| !state.has_ended));
    }
}

/// Writes one event to the queue: the subscriber passes its line in one piece.
pub(crate) struct EventWriter<'a> {
    queue: &'a Queue,
    max_bytes: usize,
}

impl Write for EventWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.queue.push(line, self.max_bytes);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = EventWriter<'a>;

    fn make_writer(&'a self) -> EventWriter<'a> {
        EventWriter { queue: &self.0, max_bytes: MAX_QUEUED_BYTES }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> EventWriter<'a> {
        // The number of dropped lines must not be dropped itself.
        let max_bytes = if event.target() == DROPPED { usize::MAX } else { MAX_QUEUED_BYTES };
        EventWriter { queue: &self.0, max_bytes }
    }
}

/// The thread that writes the log to standard error.
///
/// Dropping it ends the log; see [`LogWriter::close`].
pub(crate) struct LogThread {
    writer: LogWriter,
}

impl LogThread {
    /// # Errors
    /// Returns an error if the operating system provides no thread.
    pub(crate) fn start() -> io::Result<Self> {
        // Locked for the whole batch: what a method prints there does not end up within a line.
        let write = |batch: &mut Batch| batch.write_to(&mut io::stderr().lock());
        let report = |lines: u64| {
            tracing::error!(target: DROPPED, "the log was not read quickly enough: {lines} lines were dropped");
        };
        Self::start_with(write, report)
    }

    pub(super) fn start_with(
        write: impl FnMut(&mut Batch) -> Result<(), u64> + Send + 'static,
        report: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let writer = LogWriter::new();
        let queue = writer.0.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || queue.run(write, report))?;
        Ok(LogThread { writer })
    }

    /// Returns the handle to the thread's queue.
    pub(crate) fn writer(&self) -> &LogWriter {
        &self.writer
    }
}

impl Drop for LogThread {
    fn drop(&mut self) {
        self.writer.close();
    }
}

/// Lines that are written together.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// The beginning of the first line has been written by a write that failed later.
    is_within_line: bool,
}

impl Batch {
    /// Moves these lines to the end of the batch, and leaves an empty buffer.
    fn take(&mut self, lines: &mut Vec<u8>) {
        self.bytes.shrink_to(KEPT_BYTES);
        if self.bytes.is_empty() {
            mem::swap(&mut self.bytes, lines);
        } else {
            self.bytes.append(lines);
        }
    }

    /// Writes the batch. After an error only the rest of a line whose beginning has been written stays in it.
    ///
    /// # Errors
    /// Returns the number of lines that were lost.
    pub(super) fn write_to(&mut self, sink: &mut impl Write) -> Result<(), u64> {
        let mut written = 0;
        while written < self.bytes.len() {
            match sink.write(&self.bytes[written..]) {
                Ok(0) => return Err(self.keep_rest_of_line(written)),
                Ok(length) => written += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Another program has made the terminal or pipe non-blocking, which is a setting of all that share it.
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(GATHER_TIME),
                Err(_) => return Err(self.keep_rest_of_line(written)),
            }
        }
        self.bytes.clear();
        self.is_within_line = false;
        Ok(())
    }

    /// Removes all but the rest of the line that the first `written` bytes end in, and returns the number of removed lines.
    fn keep_rest_of_line(&mut self, written: usize) -> u64 {
        self.is_within_line = match written.checked_sub(1) {
            Some(last) => self.bytes[last] != b'\n',
            None => self.is_within_line,
        };
        let rest = &self.bytes[written..];
        let rest_of_line = if self.is_within_line {
            rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1)
        } else {
            0
        };
        let lost = rest[rest_of_line..].iter().filter(|byte| **byte == b'\n').count();
        self.bytes.truncate(written + rest_of_line);
        self.bytes.drain(..written);
        lost as u64
    }
}
