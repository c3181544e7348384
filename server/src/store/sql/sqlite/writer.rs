//! The writer of the SQLite file: a thread that commits the transactions that wait together, so that they share the time of the disk.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use simpleapi_sqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::error::SqliteError;
use super::file::DatabaseFile;
use super::schema::MIGRATIONS;
use super::values::OwnedArg;
use crate::store::sql::statement::Step;

/// The transactions that are committed together, and those that wait for the next commit. Callers beyond these wait in turn.
const MAX_BATCH: usize = 256;

/// The lock stays free after a batch for the time that the batch held it, divided by this: other processes, and methods with writes of
/// their own, look for a free lock from time to time.
const FREE_SHARE: u32 = 2;

/// The longest time that the lock stays free, even after a batch during which the disk stalled. SQLite's own
/// waits for a lock are no longer.
const MAX_FREE: Duration = Duration::from_millis(100);

/// The number of rows that the last statement of a transaction has affected, or `None` if a required step has failed.
type Outcome = Option<u64>;

/// A transaction that takes the lock later fails if the file has changed since its first read.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// A probe within this time of a successful one writes nothing.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

type Reply<T> = oneshot::Sender<Result<T, SqliteError>>;

/// The handle of the thread, which ends when the handle is dropped or closed.
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
}

enum Message {
    /// Brings the schema up to date, and returns the version that it had.
    Migrate(Reply<i64>),
    Transaction(Job),
    /// Checks that a commit is possible.
    Probe(Reply<()>),
    /// Answers after the jobs in the queue.
    Close(oneshot::Sender<()>),
}

/// A transaction and its caller.
struct Job {
    steps: Vec<OwnedStep>,
    reply: Reply<Outcome>,
}

/// A [`Step`] that outlives its caller.
struct OwnedStep {
    sql: &'static str,
    args: Vec<OwnedArg>,
    required: bool,
}

impl Writer {
    /// Starts the thread. It opens the file when it is first used.
    pub(super) fn start(file: Arc<DatabaseFile>) -> io::Result<Self> {
        let (queue, messages) = mpsc::channel(MAX_BATCH);
        let thread = WriterThread { file, connection: None, free_until: Instant::now(), probed: None };
        thread::Builder::new().name("sqlite-writer".to_owned()).spawn(|| thread.run(messages))?;
        Ok(Writer { queue })
    }

    pub(super) async fn migrate(&self) -> Result<i64, SqliteError> {
        self.call(Message::Migrate).await
    }

    /// Checks that a commit is possible, by one that changes nothing.
    pub(super) async fn probe(&self) -> Result<(), SqliteError> {
        self.call(Message::Probe).await
    }

    /// Executes `steps` in one transaction and returns when it is durable. A caller that no longer waits when its turn comes is skipped.
    pub(super) async fn transaction(&self, steps: &[Step<'_>]) -> Result<Outcome, SqliteError> {
        let steps = steps.iter().map(OwnedStep::from).collect();
        self.call(|reply| Message::Transaction(Job { steps, reply })).await
    }

    /// Ends the thread after the transactions in the queue.
    pub(super) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.queue.send(Message::Close(reply)).await.is_ok() {
            let _ = closed.await;
        }
    }

    async fn call<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, SqliteError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(message(reply)).await.map_err(|_| SqliteError::NoAnswer)?;
        answer.await.unwrap_or(Err(SqliteError::NoAnswer))
    }
}

impl From<&Step<'_>> for OwnedStep {
    fn from(step: &Step<'_>) -> Self {
        OwnedStep { sql: step.sql, args: step.args.iter().map(OwnedArg::from).collect(), required: step.required }
    }
}

impl OwnedStep {
    fn execute(&self, connection: &Connection) -> simpleapi_sqlite::Result<Outcome> {
        let affected = match connection.execute(self.sql, &mut self.args.iter().map(OwnedArg::as_arg)) {
            Err(error) if self.required && error.is_unique_violation() => 0,
            affected => affected?,
        };
        Ok((affected > 0 || !self.required).then_some(affected))
    }
}

struct WriterThread {
    file: Arc<DatabaseFile>,
    /// `None` before the first use, and after an error in the middle of a transaction.
    connection: Option<Connection>,
    /// The lock stays free until then.
    free_until: Instant,
    /// The time of the last successful probe.
    probed: Option<Instant>,
}

impl WriterThread {
    fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut closed = Vec::new();
        while let Some(first) = messages.blocking_recv() {
            thread::sleep(self.free_until.saturating_duration_since(Instant::now()));
            let mut jobs = Vec::new();
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Transaction(job) => jobs.push(job),
                    Message::Migrate(reply) => drop(reply.send(self.guarded(Self::migrate))),
                    Message::Probe(reply) if reply.is_closed() => {}
                    Message::Probe(reply) => drop(reply.send(self.guarded(Self::probe))),
                    Message::Close(reply) => {
                        closed.push(reply);
                        messages.close();
                    }
                }
                next = if jobs.len() < MAX_BATCH { messages.try_recv().ok() } else { None };
            }
            self.commit(jobs);
        }
        drop(self);
        for reply in closed {
            let _ = reply.send(());
        }
    }

    /// Commits the transactions of `jobs` together, and answers their callers after that.
    fn commit(&mut self, mut jobs: Vec<Job>) {
        let outcomes = self.guarded(|thread| thread.execute(&mut jobs));
        match outcomes {
            Ok(outcomes) => {
                for (job, outcome) in jobs.into_iter().zip(outcomes) {
                    let _ = job.reply.send(outcome);
                }
            }
            Err(error) => {
                for job in jobs {
                    let _ = job.reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Runs `work`. A panic becomes an error, and the next use opens the file again.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, SqliteError>) -> Result<T, SqliteError> {
        // The only state behind the panic is the connection, which `work` has taken out of `self`.
        catch_unwind(AssertUnwindSafe(|| work(self))).unwrap_or(Err(SqliteError::NoAnswer))
    }

    /// Executes the jobs whose callers still wait, and drops the others.
    ///
    /// # Errors
    /// Nothing has changed.
    fn execute(&mut self, jobs: &mut Vec<Job>) -> Result<Vec<Result<Outcome, SqliteError>>, SqliteError> {
        jobs.retain(|job| !job.reply.is_closed());
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let connection = self.begin()?;
        let began = Instant::now();
        jobs.retain(|job| !job.reply.is_closed());
        let outcomes = jobs.iter().map(|job| job.execute(&connection)).collect::<Result<_, SqliteError>>()?;
        self.end(connection, began)?;
        Ok(outcomes)
    }

    /// Writes the version of the schema as it is. A disk that is full or read-only is noticed by a write alone. While another process, or a
    /// method, holds the lock, that one writes.
    fn probe(&mut self) -> Result<(), SqliteError> {
        if let Some(connection) = &self.connection
            && self.probed.is_some_and(|probed| probed.elapsed() < PROBE_INTERVAL)
        {
            return self.file.check_writer(connection);
        }
        self.file.check_space()?;
        let connection = match self.begin_by(|_, connection| connection.execute_script(BEGIN)) {
            Err(SqliteError::Sqlite(error)) if error.is_busy() => return Ok(()),
            begun => begun?,
        };
        let began = Instant::now();
        let version = schema_version(&connection)?;
        connection.execute_script(&format!("PRAGMA user_version = {version}"))?;
        self.end(connection, began)?;
        self.probed = Some(Instant::now());
        Ok(())
    }

    fn migrate(&mut self) -> Result<i64, SqliteError> {
        let known = MIGRATIONS.len() as i64;
        // An up-to-date schema needs no lock, which another server may hold.
        let connection = self.connect()?;
        let version = schema_version(&connection)?;
        self.connection = Some(connection);
        if !(0..known).contains(&version) {
            return Ok(version);
        }
        let connection = self.begin()?;
        let began = Instant::now();
        let version = schema_version(&connection)?;
        for migration in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(usize::MAX)) {
            connection.execute_script(migration)?;
        }
        self.end(connection, began)?;
        Ok(version)
    }

    /// Takes the connection out of `self`, or opens one. It is closed unless it is returned: a transaction may be open on it.
    fn connect(&mut self) -> Result<Connection, SqliteError> {
        self.connection.take().map_or_else(|| self.file.open_writer(), Ok)
    }

    /// Takes the connection and begins a transaction on it. Waits for a lock that another process, or a method, holds.
    fn begin(&mut self) -> Result<Connection, SqliteError> {
        self.begin_by(|file, connection| file.wait_for_lock(|| connection.execute_script(BEGIN)))
    }

    fn begin_by(
        &mut self,
        begin: impl FnOnce(&DatabaseFile, &Connection) -> simpleapi_sqlite::Result<()>,
    ) -> Result<Connection, SqliteError> {
        let connection = self.connect()?;
        let began = self.file.check_writer(&connection).and_then(|()| Ok(begin(&self.file, &connection)?));
        if let Err(error) = began {
            self.connection = Some(connection); // no transaction is open, and a new one would use other files
            return Err(error);
        }
        Ok(connection)
    }

    /// Commits, returns the connection, and leaves the lock free for a moment.
    ///
    /// # Errors
    /// The commit failed, or a restarted server might not find it.
    fn end(&mut self, connection: Connection, began: Instant) -> Result<(), SqliteError> {
        connection.execute_script("COMMIT")?;
        self.free_until = Instant::now() + (began.elapsed() / FREE_SHARE).min(MAX_FREE);
        let check = self.file.check_writer(&connection);
        self.connection = Some(connection); // a new one would go on beside those that still use the old files
        check
    }
}

impl Job {
    /// Executes the steps within the transaction of the batch. Nothing has changed unless the outcome is `Ok(Some)`.
    ///
    /// # Errors
    /// SQLite has rolled back the batch, or the steps cannot be separated from it.
    fn execute(&self, connection: &Connection) -> Result<Result<Outcome, SqliteError>, SqliteError> {
        let outcome = match &self.steps[..] {
            [step] => step.execute(connection), // a statement is atomic by itself
            steps => in_savepoint(connection, steps)?,
        };
        if connection.is_in_transaction() {
            Ok(outcome.map_err(SqliteError::from))
        } else {
            Err(outcome.map_or_else(SqliteError::from, |_| SqliteError::NoAnswer))
        }
    }
}

/// Executes the steps in a savepoint, which is rolled back if a required step fails or a statement returns an error.
fn in_savepoint(
    connection: &Connection,
    steps: &[OwnedStep],
) -> Result<simpleapi_sqlite::Result<Outcome>, SqliteError> {
    connection.execute_script("SAVEPOINT job")?;
    let outcome = steps.iter().map(|step| step.execute(connection)).try_fold(Some(0), |_, outcome| match outcome {
        Ok(Some(affected)) => Ok(Some(affected)),
        failed => Err(failed),
    });
    let outcome = outcome.or_else(|failed| failed);
    if !matches!(outcome, Ok(Some(_))) && connection.is_in_transaction() {
        connection.execute_script("ROLLBACK TO job")?;
    }
    if connection.is_in_transaction() {
        connection.execute_script("RELEASE job")?;
    }
    Ok(outcome)
}

fn schema_version(connection: &Connection) -> Result<i64, SqliteError> {
    let rows = connection.query("PRAGMA user_version", &mut std::iter::empty())?;
    match rows.first().map(Vec::as_slice) {
        Some([simpleapi_sqlite::Value::Int(version)]) => Ok(*version),
        _ => unreachable!("the pragma returns one integer"),
    }
}

#[cfg(test)]
mod tests;
