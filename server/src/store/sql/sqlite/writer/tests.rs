//! Batches, on a thread of the test.

use method_sdk::Error;
use tempfile::TempDir;
use tokio::sync::oneshot::Receiver;

use super::*;
use crate::store::sql::sqlite::schema::STATEMENTS;
use crate::store::sql::statement::Arg::{Blob, Int, Text};

type Answer = Receiver<Result<Outcome, SqliteError>>;

/// A writer on an empty schema, without its queue.
fn writer(directory: &TempDir) -> WriterThread {
    let file = Arc::new(DatabaseFile::new(directory.path().join("test.db"), Duration::from_millis(50)));
    let mut writer = WriterThread { file, connection: None, free_until: Instant::now(), probed: None };
    assert_eq!(writer.migrate().unwrap(), 0);
    writer
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn job(steps: &[Step<'_>]) -> (Job, Answer) {
    let (reply, answer) = oneshot::channel();
    (Job { steps: steps.iter().map(OwnedStep::from).collect(), reply }, answer)
}

fn create(user_id: &str) -> (Job, Answer) {
    job(&[
        Step::required(STATEMENTS.insert_account, [Text(user_id), Text("hash"), Int(0)]),
        Step::required(
            STATEMENTS.insert_session,
            [Blob(user_id.as_bytes()), Int(0), Int(9), Int(1), Text(user_id), Text("hash")],
        ),
    ])
}

fn sql(sql: &'static str) -> (Job, Answer) {
    job(&[Step::new(sql, [])])
}

/// Commits the jobs as one batch and returns their answers.
fn commit<const JOBS: usize>(
    writer: &mut WriterThread,
    jobs: [(Job, Answer); JOBS],
) -> [Result<Outcome, SqliteError>; JOBS] {
    let (jobs, answers): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
    writer.commit(jobs);
    let answers = answers.into_iter().map(|mut answer| answer.try_recv().unwrap());
    answers.collect::<Vec<_>>().try_into().unwrap_or_else(|_| unreachable!())
}

fn count(writer: &mut WriterThread, table: &str) -> i64 {
    let connection = writer.connect().unwrap();
    let rows = connection.query(&format!("SELECT count(*) FROM {table}"), &mut std::iter::empty()).unwrap();
    writer.connection = Some(connection);
    match rows[0][0] {
        simpleapi_sqlite::Value::Int(count) => count,
        _ => unreachable!(),
    }
}

fn code(answer: Result<Outcome, SqliteError>) -> i32 {
    Error::from(answer.unwrap_err()).code()
}

#[test]
fn a_job_that_fails_is_rolled_back_alone() {
    let directory = directory();
    let mut writer = writer(&directory);
    commit(&mut writer, [create("alice")])[0].as_ref().unwrap();
    let half = job(&[
        Step::new("INSERT INTO accounts VALUES ('half', 'hash', 0)", []),
        Step::required("DELETE FROM accounts WHERE user_id = 'unknown'", []),
    ]);
    let broken = job(&[
        Step::new("INSERT INTO accounts VALUES ('broken', 'hash', 0)", []),
        Step::new("INSERT INTO accounts VALUES ('broken', NULL, 0)", []),
    ]);
    let [bob, taken, half, broken, error, carol] =
        commit(&mut writer, [create("bob"), create("alice"), half, broken, sql("SELECT nothing"), create("carol")]);
    assert!(matches!(bob, Ok(Some(1))) && matches!(carol, Ok(Some(1))));
    assert!(matches!(taken, Ok(None)) && matches!(half, Ok(None)));
    assert_eq!((code(broken), code(error)), (1000, 1000));
    assert_eq!((count(&mut writer, "accounts"), count(&mut writer, "sessions")), (3, 3));
}

#[test]
fn an_error_that_ends_the_transaction_is_every_callers_and_nothing_has_changed() {
    let directory = directory();
    let mut writer = writer(&directory);
    // SQLite rolls a transaction back by itself after some errors, such as a failure of the disk.
    let [bob, end, carol] = commit(&mut writer, [create("bob"), sql("ROLLBACK"), create("carol")]);
    assert!(bob.is_err() && end.is_err() && carol.is_err());
    assert_eq!(count(&mut writer, "accounts"), 0);
    assert!(matches!(commit(&mut writer, [create("bob")]), [Ok(Some(1))]));
}

#[test]
fn a_full_disk_returns_error_1016_and_recovers() {
    let directory = directory();
    let mut writer = writer(&directory);
    let connection = writer.connect().unwrap();
    connection.execute_script("PRAGMA max_page_count = 12").unwrap();
    writer.connection = Some(connection);
    let state = "x".repeat(60_000);
    let big = job(&[Step::new(STATEMENTS.insert_account, [Text("big"), Text(&state), Int(0)])]);
    let [big] = commit(&mut writer, [big]);
    assert_eq!(code(big), 1016);
    assert_eq!(count(&mut writer, "accounts"), 0);
    assert!(matches!(commit(&mut writer, [create("bob")]), [Ok(Some(1))]));
}

#[test]
fn a_caller_that_no_longer_waits_is_skipped() {
    let directory = directory();
    let mut writer = writer(&directory);
    let (gone, _) = create("gone");
    let (job, mut answer) = create("alice");
    writer.commit(vec![gone, job]);
    assert!(answer.try_recv().unwrap().is_ok());
    assert_eq!(count(&mut writer, "accounts"), 1);
}

#[test]
fn a_panic_is_an_error_of_its_batch_alone() {
    let directory = directory();
    let mut writer = writer(&directory);
    let panicked: Result<(), _> = writer.guarded(|writer| {
        let _connection = writer.begin()?;
        panic!("in the middle of a transaction")
    });
    assert!(matches!(panicked, Err(SqliteError::NoAnswer)));
    assert!(matches!(commit(&mut writer, [create("alice")]), [Ok(Some(1))]));
}

#[test]
fn a_lock_of_another_connection_is_waited_for_and_then_error_1016() {
    let directory = directory();
    let mut writer = writer(&directory);
    let other = writer.file.open_writer().unwrap();
    other.execute_script("BEGIN IMMEDIATE").unwrap();
    let [alice] = commit(&mut writer, [create("alice")]);
    assert_eq!(code(alice), 1016);
    other.execute_script("COMMIT").unwrap();
    assert!(matches!(commit(&mut writer, [create("alice")]), [Ok(Some(1))]));
}

#[test]
fn a_file_that_was_replaced_is_not_written() {
    let directory = directory();
    let mut writer = writer(&directory);
    let (path, moved) = (directory.path().join("test.db"), directory.path().join("moved.db"));
    std::fs::rename(&path, &moved).unwrap();
    let [alice] = commit(&mut writer, [create("alice")]);
    assert_eq!(code(alice), 1016);
    assert!(!path.exists(), "no empty file takes its place");
    std::fs::rename(&moved, &path).unwrap();
    assert!(matches!(commit(&mut writer, [create("alice")]), [Ok(Some(1))]));
}

#[test]
fn commits_of_a_log_that_was_deleted_are_in_the_file_and_no_later_one_is_acknowledged() {
    let directory = directory();
    let mut writer = writer(&directory);
    let log = directory.path().join("test.db-wal");
    assert!(matches!(commit(&mut writer, [create("alice")]), [Ok(Some(1))]));
    std::fs::remove_file(&log).unwrap();
    let [bob] = commit(&mut writer, [create("bob")]);
    assert_eq!(code(bob), 1016);
    assert_eq!(code(writer.probe().map(|()| None)), 1016);
    // The file as a server that starts after a crash finds it.
    let restarted = directory.path().join("restarted.db");
    std::fs::copy(directory.path().join("test.db"), &restarted).unwrap();
    let connection = Connection::open(&restarted, simpleapi_sqlite::Access::Write).unwrap();
    let rows = connection.query("SELECT user_id FROM accounts", &mut std::iter::empty()).unwrap();
    assert_eq!(rows, [[simpleapi_sqlite::Value::Text("alice".to_owned())]]);
}

#[test]
fn another_file_in_place_of_the_log_or_of_its_index_is_noticed() {
    for name in ["test.db-wal", "test.db-shm"] {
        let directory = directory();
        let mut writer = writer(&directory);
        assert!(matches!(commit(&mut writer, [create("alice")]), [Ok(Some(1))]));
        let (path, other) = (directory.path().join(name), directory.path().join("other"));
        std::fs::write(&other, "").unwrap();
        std::fs::rename(&other, &path).unwrap();
        let [bob] = commit(&mut writer, [create("bob")]);
        assert_eq!(code(bob), 1016, "{name}");
    }
}

#[test]
fn a_probe_writes_once_a_second_and_changes_nothing() {
    let directory = directory();
    let mut writer = writer(&directory);
    let log_length = || std::fs::metadata(directory.path().join("test.db-wal")).unwrap().len();
    let before = log_length();
    writer.probe().unwrap();
    let after = log_length();
    assert!(after > before, "{before} and {after} bytes");
    writer.probe().unwrap();
    assert_eq!(log_length(), after);
    assert_eq!(writer.migrate().unwrap(), MIGRATIONS.len() as i64, "the version is the same");
    let other = writer.file.open_writer().unwrap();
    other.execute_script("BEGIN IMMEDIATE").unwrap();
    writer.probed = None;
    writer.probe().unwrap();
    assert!(writer.probed.is_none(), "another process writes");
}

#[test]
fn a_schema_of_the_first_version_keeps_its_sessions() {
    let directory = directory();
    let old = simpleapi_sqlite::Connection::open(&directory.path().join("test.db"), simpleapi_sqlite::Access::Write);
    let old = old.unwrap();
    old.execute_script(MIGRATIONS[0]).unwrap();
    old.execute_script("INSERT INTO sessions VALUES (x'01', 'alice', 1, 2, 1, '{\"count\":7}', 3)").unwrap();
    drop(old);
    let file = Arc::new(DatabaseFile::new(directory.path().join("test.db"), Duration::ZERO));
    let mut writer = WriterThread { file, connection: None, free_until: Instant::now(), probed: None };
    assert_eq!((writer.migrate().unwrap(), writer.migrate().unwrap()), (1, 3));
    let connection = writer.connect().unwrap();
    let mut args = [simpleapi_sqlite::Arg::Blob(&[1]), simpleapi_sqlite::Arg::Int(1)].into_iter();
    let rows = connection.query(STATEMENTS.session_state, &mut args).unwrap();
    assert_eq!(rows, [[simpleapi_sqlite::Value::Text("{\"count\":7}".to_owned()), simpleapi_sqlite::Value::Int(3)]]);
}
