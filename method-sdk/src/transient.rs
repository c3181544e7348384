//! Transient errors of a database: it is unreachable, stopping, busy, read-only or full.

use std::error::Error as StdError;
use std::iter::successors;

/// Returns `true` if the error, or one of its sources, is a database error after which the same call may succeed later. The client then
/// receives error 1016 (Service unavailable) instead of 1000 (Server error).
pub fn is_transient(error: &(dyn StdError + 'static)) -> bool {
    successors(Some(error), |error| (*error).source()).any(|error| {
        if let Some(error) = error.downcast_ref::<sqlx::Error>() {
            return sql(error);
        }
        #[cfg(feature = "mongodb")]
        if let Some(error) = error.downcast_ref::<mongodb::error::Error>() {
            return mongodb(error);
        }
        false
    })
}

fn sql(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
        sqlx::Error::Database(error) => {
            #[cfg(feature = "sqlite")]
            if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
                let code = error.code().and_then(|code| code.parse().ok());
                return code.is_some_and(is_transient_sqlite_code);
            }
            #[cfg(feature = "mysql")]
            if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
                return mysql(error.number());
            }
            #[cfg(feature = "postgres")]
            if let Some(error) = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
                return postgres(error.code());
            }
            false
        }
        _ => false,
    }
}

/// Returns `true` if a result code of SQLite, extended or not, is that of a transient error (<https://sqlite.org/rescode.html>).
#[cfg(feature = "sqlite")]
pub fn is_transient_sqlite_code(code: i32) -> bool {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const READ_ONLY: i32 = 8;
    const IO: i32 = 10;
    const FULL: i32 = 13;
    const CANNOT_OPEN: i32 = 14;
    let primary = code & 0xff;
    [BUSY, LOCKED, READ_ONLY, IO, FULL, CANNOT_OPEN].contains(&primary)
}

/// Classifies the server's error number (<https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html>; MariaDB's are the same).
#[cfg(feature = "mysql")]
fn mysql(number: u16) -> bool {
    const DISK_FULL: u16 = 1021;
    const CONNECTIONS_FULL: u16 = 1040;
    const OUT_OF_MEMORY: u16 = 1041;
    const GALERA_NOT_READY: u16 = 1047; // "unknown command" in other servers; one that knows no command is as good as unreachable
    const SHUTDOWN: u16 = 1053;
    const TABLE_FULL: u16 = 1114;
    const HOST_BLOCKED: u16 = 1129;
    const CONNECTIONS_OF_USER_FULL: u16 = 1203;
    const LOCK_WAIT_TIMEOUT: u16 = 1205;
    const DEADLOCK: u16 = 1213;
    const READ_ONLY: u16 = 1290;
    const INTERRUPTED: u16 = 1317;
    const READ_ONLY_INNODB: u16 = 1874;
    const CONNECTION_KILLED: u16 = 1927;
    const STATEMENT_TIMEOUT: u16 = 1969;
    const QUERY_TIMEOUT: u16 = 3024;
    [
        DISK_FULL,
        CONNECTIONS_FULL,
        OUT_OF_MEMORY,
        GALERA_NOT_READY,
        SHUTDOWN,
        TABLE_FULL,
        HOST_BLOCKED,
        CONNECTIONS_OF_USER_FULL,
        LOCK_WAIT_TIMEOUT,
        DEADLOCK,
        READ_ONLY,
        INTERRUPTED,
        READ_ONLY_INNODB,
        CONNECTION_KILLED,
        STATEMENT_TIMEOUT,
        QUERY_TIMEOUT,
    ]
    .contains(&number)
}

/// Classifies an SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
#[cfg(feature = "postgres")]
fn postgres(state: &str) -> bool {
    const CONNECTION: &str = "08";
    const ROLLED_BACK: &str = "40"; // deadlock, serialization failure
    const RESOURCES: &str = "53"; // disk full, out of memory, too many connections
    const INTERVENTION: &str = "57"; // shutdown, startup, cancelled query
    const SYSTEM: &str = "58";
    const READ_ONLY: &str = "25006"; // a standby
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    [CONNECTION, ROLLED_BACK, RESOURCES, INTERVENTION, SYSTEM].iter().any(|class| state.starts_with(class))
        || [READ_ONLY, LOCK_NOT_AVAILABLE].contains(&state)
}

/// Classifies an error by its kind, label and code (<https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml>).
#[cfg(feature = "mongodb")]
fn mongodb(error: &mongodb::error::Error) -> bool {
    use mongodb::error::{ErrorKind, RETRYABLE_WRITE_ERROR, WriteFailure};
    const HOST_UNREACHABLE: i32 = 6;
    const HOST_NOT_FOUND: i32 = 7;
    const MAX_TIME_EXPIRED: i32 = 50;
    const WRITE_CONCERN: i32 = 64;
    const NETWORK_TIMEOUT: i32 = 89;
    const SHUTDOWN: i32 = 91;
    const STEPPED_DOWN: i32 = 189;
    const EXCEEDED_TIME_LIMIT: i32 = 262;
    const SOCKET: i32 = 9001;
    const NOT_PRIMARY: i32 = 10107;
    const INTERRUPTED_AT_SHUTDOWN: i32 = 11600;
    const INTERRUPTED_BY_STEP_DOWN: i32 = 11602;
    const NO_DISK_SPACE: i32 = 14031;
    const NOT_PRIMARY_NO_SECONDARY_OK: i32 = 13435;
    const NOT_PRIMARY_OR_SECONDARY: i32 = 13436;
    let code = match &*error.kind {
        ErrorKind::Io(_)
        | ErrorKind::ServerSelection { .. }
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::DnsResolve { .. } => return true,
        ErrorKind::Command(command) => command.code,
        ErrorKind::Write(WriteFailure::WriteError(write)) => write.code,
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => concern.code,
        _ => 0,
    };
    error.contains_label(RETRYABLE_WRITE_ERROR)
        || [
            HOST_UNREACHABLE,
            HOST_NOT_FOUND,
            MAX_TIME_EXPIRED,
            WRITE_CONCERN,
            NETWORK_TIMEOUT,
            SHUTDOWN,
            STEPPED_DOWN,
            EXCEEDED_TIME_LIMIT,
            SOCKET,
            NOT_PRIMARY,
            INTERRUPTED_AT_SHUTDOWN,
            INTERRUPTED_BY_STEP_DOWN,
            NO_DISK_SPACE,
            NOT_PRIMARY_NO_SECONDARY_OK,
            NOT_PRIMARY_OR_SECONDARY,
        ]
        .contains(&code)
}
