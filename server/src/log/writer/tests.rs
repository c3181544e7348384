//! The queue with readers that are fast, slow, stalled or closed.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use super::*;

/// The result of one write.
enum Step {
    Accept(usize),
    Fail(ErrorKind),
}

use Step::{Accept, Fail};

/// A sink whose first writes have the results that the test sets; all later ones succeed.
#[derive(Default)]
struct Sink {
    writes: VecDeque<Step>,
    bytes: Vec<u8>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = match self.writes.pop_front() {
            Some(Fail(kind)) => return Err(kind.into()),
            Some(Accept(length)) => length.min(bytes.len()),
            None => bytes.len(),
        };
        self.bytes.extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A log whose thread passes each batch to the test, and waits for the result of its write.
struct SteppedLog {
    thread: LogThread,
    allow: Sender<Result<(), u64>>,
    batches: Receiver<String>,
}

impl SteppedLog {
    fn new() -> Self {
        let (allow, allowed) = channel::<Result<(), u64>>();
        let (sender, batches) = channel();
        let (reporter, reports_to) = channel::<LogWriter>();
        let write = move |batch: &mut Batch| {
            let _ = sender.send(String::from_utf8(mem::take(&mut batch.bytes)).unwrap());
            allowed.recv().unwrap_or(Ok(()))
        };
        let report = move |lines| {
            let writer: LogWriter = reports_to.recv().unwrap();
            writer.0.push(format!("{lines} dropped\n").as_bytes(), usize::MAX);
        };
        let thread = LogThread::start_with(write, report).unwrap();
        // One report for each test.
        reporter.send(thread.writer().clone()).unwrap();
        SteppedLog { thread, allow, batches }
    }

    fn push(&self, line: &str) {
        self.thread.writer().push(line.as_bytes());
    }

    /// Pushes a line, and waits until its write has begun and stalls.
    fn stall(&self) {
        self.push("first\n");
        assert_eq!(self.batches.recv().unwrap(), "first\n");
    }
}

#[test]
fn lines_that_arrive_while_a_write_stalls_are_written_together() {
    let log = SteppedLog::new();
    log.stall();
    for line in ["a\n", "b\n", "c\n"] {
        log.push(line);
    }
    log.allow.send(Ok(())).unwrap();
    assert_eq!(log.batches.recv().unwrap(), "a\nb\nc\n");
    drop(log.allow);
}

#[test]
fn lines_beyond_the_limit_are_dropped_and_their_number_follows_the_lines_that_were_kept() {
    let log = SteppedLog::new();
    log.stall();
    let line = format!("{}\n", "x".repeat(1023));
    let fitting = MAX_QUEUED_BYTES / line.len();
    for _ in 0..fitting + 5 {
        log.push(&line);
    }
    log.allow.send(Ok(())).unwrap();
    assert_eq!(log.batches.recv().unwrap().len(), fitting * line.len());
    log.push("after\n");
    log.allow.send(Ok(())).unwrap();
    assert_eq!(log.batches.recv().unwrap(), "5 dropped\nafter\n");
    drop(log.allow);
}

#[test]
fn a_line_longer_than_the_queue_is_dropped() {
    let log = SteppedLog::new();
    log.stall();
    log.push(&"x".repeat(MAX_QUEUED_BYTES + 1));
    log.push("next\n");
    log.allow.send(Ok(())).unwrap();
    assert_eq!(log.batches.recv().unwrap(), "next\n");
    log.allow.send(Ok(())).unwrap();
    assert_eq!(log.batches.recv().unwrap(), "1 dropped\n");
    drop(log.allow);
}

#[test]
fn lines_that_standard_error_refuses_are_counted_and_reported_when_it_accepts_lines_again() {
    let log = SteppedLog::new();
    log.stall();
    log.allow.send(Err(1)).unwrap();
    log.push("second\n");
    assert_eq!(log.batches.recv().unwrap(), "second\n", "no report while writes fail");
    log.allow.send(Err(2)).unwrap();
    log.push("third\n");
    assert_eq!(log.batches.recv().unwrap(), "third\n");
    log.allow.send(Ok(())).unwrap();
    assert_eq!(log.batches.recv().unwrap(), "", "the report is created");
    log.allow.send(Ok(())).unwrap();
    assert_eq!(log.batches.recv().unwrap(), "3 dropped\n");
    drop(log.allow);
}

#[test]
fn the_end_of_the_log_writes_what_is_queued() {
    let log = SteppedLog::new();
    log.stall();
    log.push("last\n");
    log.allow.send(Ok(())).unwrap();
    log.allow.send(Ok(())).unwrap();
    drop(log.thread);
    assert_eq!(log.batches.try_recv().unwrap(), "last\n");
    assert!(log.batches.recv().is_err(), "the thread has ended");
}

#[test]
fn the_end_of_the_log_does_not_wait_for_a_reader_that_stalls() {
    let SteppedLog { thread, allow, batches } = SteppedLog::new();
    thread.writer().push(b"first\n");
    batches.recv().unwrap();
    let started = Instant::now();
    thread.writer().close();
    drop(thread);
    assert!((CLOSE_TIMEOUT..4 * CLOSE_TIMEOUT).contains(&started.elapsed()), "{:?}", started.elapsed());
    drop(allow);
}

#[test]
fn concurrent_lines_are_complete_and_each_threads_lines_keep_their_order() {
    const THREADS: usize = 8;
    const LINES: usize = 2000;
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let sink = bytes.clone();
    let log = LogThread::start_with(move |batch| batch.write_to(&mut *sink.lock().unwrap()), |_| {}).unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let writer = log.writer();
            scope.spawn(move || {
                for line in 0..LINES {
                    writer.push(format!("{thread} {line} {}\n", "x".repeat(line % 97)).as_bytes());
                }
            });
        }
    });
    drop(log);
    let text = String::from_utf8(bytes.lock().unwrap().clone()).unwrap();
    let mut next = HashMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let number: usize = fields[1].parse().unwrap();
        let expected = next.entry(fields[0]).or_insert(0);
        assert_eq!((number, fields[2]), (*expected, &*"x".repeat(number % 97)));
        *expected += 1;
    }
    assert_eq!(next.values().copied().collect::<Vec<_>>(), [LINES; THREADS]);
}

/// Writes these lines and returns the number of lost ones.
fn write(batch: &mut Batch, sink: &mut Sink, lines: &str) -> Result<(), u64> {
    batch.take(&mut lines.as_bytes().to_vec());
    batch.write_to(sink)
}

#[test]
fn interrupted_and_short_writes_are_continued() {
    let writes = [Accept(3), Fail(ErrorKind::Interrupted), Accept(1), Fail(ErrorKind::WouldBlock), Accept(2)];
    let (mut batch, mut sink) = (Batch::default(), Sink { writes: writes.into(), ..Sink::default() });
    assert_eq!(write(&mut batch, &mut sink, "first\nsecond\n"), Ok(()));
    assert_eq!(sink.bytes, b"first\nsecond\n");
}

#[test]
fn a_line_whose_beginning_has_been_written_is_completed_after_an_error() {
    let full = || Fail(ErrorKind::StorageFull);
    let writes = [Accept(8), full(), full(), Accept(2), full()];
    let (mut batch, mut sink) = (Batch::default(), Sink { writes: writes.into(), ..Sink::default() });
    assert_eq!(write(&mut batch, &mut sink, "first\nsecond\nthird\n"), Err(1), "the third is lost");
    assert_eq!(write(&mut batch, &mut sink, "fourth\n"), Err(1));
    assert_eq!(write(&mut batch, &mut sink, "fifth\n"), Err(1), "two more bytes of the second");
    assert_eq!(write(&mut batch, &mut sink, "sixth\n"), Ok(()));
    assert_eq!(sink.bytes, b"first\nsecond\nsixth\n");
}

#[test]
fn an_error_between_lines_leaves_no_part_of_a_line() {
    let writes = [Accept(6), Fail(ErrorKind::BrokenPipe), Accept(0)];
    let (mut batch, mut sink) = (Batch::default(), Sink { writes: writes.into(), ..Sink::default() });
    assert_eq!(write(&mut batch, &mut sink, "first\nsecond\n"), Err(1));
    assert_eq!(write(&mut batch, &mut sink, "third\n"), Err(1), "a write of nothing is an error");
    assert_eq!(write(&mut batch, &mut sink, "fourth\n"), Ok(()));
    assert_eq!(sink.bytes, b"first\nfourth\n");
}
