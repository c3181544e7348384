//! Accounts and sessions in tables: the store that all SQL databases share. An [`Executor`] has the differences.

#[cfg(any(feature = "mysql", feature = "postgres"))]
mod dialect;
mod executor;
#[cfg(feature = "mysql")]
pub(super) mod mysql;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod pool;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod pool_executor;
#[cfg(feature = "postgres")]
pub(super) mod postgres;
#[cfg(feature = "sqlite")]
pub(super) mod sqlite;
mod statement;

use async_trait::async_trait;
use method_sdk::host::StateRecord;
use method_sdk::{Database, DatabaseHandle, Result};

use self::Arg::{Blob, Int, Text};
use self::executor::Executor;
use self::statement::{Arg, Row, Step};
use super::guard::DatabaseGuard;
use super::interface::{
    AccountRow, AttemptCounter, EXPIRED_BATCH, NewSession, SIGNATURE_VERSION, SessionHash, SessionRow, Store,
};
use super::retry::{Attempt, retry};
use crate::config::Config;

struct SqlStore<E: Executor> {
    executor: E,
    connection: DatabaseHandle,
    description: String,
    warning: Option<String>,
    guard: DatabaseGuard,
}

impl<E: Executor> SqlStore<E> {
    /// Creates a store; `database` is for methods.
    fn new(config: &Config, description: String, database: Database, executor: E) -> Self {
        let (connection, guard) = (DatabaseHandle::new(database), DatabaseGuard::new(config));
        SqlStore { executor, connection, description, warning: None, guard }
    }

    fn with_warning(self, warning: Option<String>) -> Self {
        SqlStore { warning, ..self }
    }

    /// Executes one statement and returns the number of rows affected.
    async fn execute(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<u64> {
        self.guard.run(|| self.executor.migrate(), self.executor.execute(sql, args)).await
    }

    /// Executes one query and returns its rows.
    async fn fetch(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>> {
        self.guard.run(|| self.executor.migrate(), self.executor.fetch(sql, args)).await
    }

    /// Executes `steps` in one transaction. Returns `false` if a required step failed; nothing has changed then.
    async fn transaction(&self, steps: &[Step<'_>]) -> Result<bool> {
        self.guard.run(|| self.executor.migrate(), self.executor.transaction(steps)).await
    }
}

impl<E: Executor> SqlStore<E> {
    /// The counters are inserted in a transaction of their own: in MySQL, two that insert and then count would wait for each other.
    async fn try_count(&self, counters: &[AttemptCounter; 2], now: i64) -> Result<Attempt<Option<i64>>> {
        let statements = E::STATEMENTS;
        let expires = |counter: &AttemptCounter| Int(now.saturating_add(counter.window));
        let inserts = counters
            .each_ref()
            .map(|counter| Step::new(statements.insert_attempt, [Blob(&counter.key), expires(counter)]));
        self.transaction(&inserts).await?;
        let counts = counters.each_ref().map(|counter| {
            let (now, limit, window) = (Int(now), Int(counter.limit), Int(counter.window));
            let args = [now, limit, now, limit, window, now, expires(counter), Blob(&counter.key), now, now];
            Step::required(statements.count_attempt, args)
        });
        if self.transaction(&counts).await? {
            return Ok(Attempt::Finished(None));
        }
        let mut retry_at = now;
        for counter in counters {
            let rows = self.fetch(statements.attempt_wait, &[Blob(&counter.key)]).await?;
            if let Some(mut row) = rows.into_iter().next() {
                retry_at = retry_at.max(row.int()?);
            }
        }
        Ok(match retry_at > now {
            true => Attempt::Finished(Some(retry_at)),
            false => Attempt::Conflict("a counter of attempts expired while it was used".into()),
        })
    }

    /// Deletes the oldest sessions of an account beyond `max`, except `newest`, in a transaction of their own: of logins at the same time, the
    /// last to count sees the sessions of all.
    async fn delete_oldest_sessions(&self, newest: &NewSession<'_>, max: i64) -> Result<()> {
        let user_id = Text(newest.user_id);
        let rows = self.fetch(E::STATEMENTS.count_sessions, &[user_id]).await?;
        let count = rows.into_iter().next().map_or(Ok(0), |mut row| row.int())?;
        if count > max {
            let args = [user_id, Blob(&newest.hash), Int(max - 1)];
            self.execute(E::STATEMENTS.delete_oldest_sessions, &args).await?;
        }
        Ok(())
    }
}

fn insert_session<'a, E: Executor>(password_hash: &'a str, session: &'a NewSession<'_>) -> Step<'a> {
    let NewSession { hash, user_id, created, expires } = session;
    let args = [Blob(hash), Int(*created), Int(*expires), Int(SIGNATURE_VERSION), Text(user_id), Text(password_hash)];
    Step::required(E::STATEMENTS.insert_session, args)
}

fn end_attempt<E: Executor>(counters: &[AttemptCounter; 2], is_success: bool) -> [Step<'_>; 2] {
    let statements = E::STATEMENTS;
    let [client, account] = counters.each_ref().map(|counter| [Blob(&counter.key)]);
    let first = if is_success { statements.delete_attempt } else { statements.take_back_attempt };
    [Step::new(first, client), Step::new(statements.take_back_attempt, account)]
}

fn state(mut row: Row) -> Result<StateRecord> {
    Ok(StateRecord { text: row.text()?, version: row.int()? })
}

#[async_trait]
impl<E: Executor> Store for SqlStore<E> {
    fn connection(&self) -> &DatabaseHandle {
        &self.connection
    }

    fn describe(&self) -> &str {
        &self.description
    }

    fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    async fn migrate(&self) -> Result<()> {
        self.guard.run(|| self.executor.migrate(), async { Ok(()) }).await
    }

    async fn ping(&self) -> Result<()> {
        self.guard.run(|| self.executor.migrate(), self.executor.ping()).await
    }

    async fn create_account(
        &self,
        user_id: &str,
        password_hash: &str,
        created: i64,
        session: Option<&NewSession<'_>>,
    ) -> Result<bool> {
        let account = [Text(user_id), Text(password_hash), Int(created)];
        let mut steps = vec![Step::required(E::STATEMENTS.insert_account, account)];
        steps.extend(session.map(|session| insert_session::<E>(password_hash, session)));
        self.transaction(&steps).await
    }

    async fn password_hash(&self, user_id: &str) -> Result<Option<String>> {
        let rows = self.fetch(E::STATEMENTS.password_hash, &[Text(user_id)]).await?;
        Ok(rows.into_iter().next().map(|mut row| row.text()).transpose()?)
    }

    async fn rehash(&self, user_id: &str, old: &str, new: &str) -> Result<()> {
        self.execute(E::STATEMENTS.change_password, &[Text(new), Text(user_id), Text(old)]).await.map(drop)
    }

    async fn change_password(
        &self,
        user_id: &str,
        old: &str,
        new: &str,
        session: Option<&NewSession<'_>>,
        counters: &[AttemptCounter],
    ) -> Result<bool> {
        let mut steps = vec![
            Step::required(E::STATEMENTS.change_password, [Text(new), Text(user_id), Text(old)]),
            Step::new(E::STATEMENTS.delete_sessions, [Text(user_id)]),
        ];
        steps.extend(counters.iter().map(|counter| Step::new(E::STATEMENTS.delete_attempt, [Blob(&counter.key)])));
        steps.extend(session.map(|session| insert_session::<E>(new, session)));
        self.transaction(&steps).await
    }

    async fn delete_account(&self, user_id: &str) -> Result<bool> {
        let steps = [
            Step::required(E::STATEMENTS.delete_account, [Text(user_id)]),
            Step::new(E::STATEMENTS.delete_sessions, [Text(user_id)]),
        ];
        self.transaction(&steps).await
    }

    async fn accounts(&self, after: &str, limit: i64) -> Result<Vec<AccountRow>> {
        let rows = self.fetch(E::STATEMENTS.accounts, &[Text(after), Int(limit)]).await?;
        let account = |mut row: Row| Ok(AccountRow { user_id: row.text()?, created: row.int()? });
        rows.into_iter().map(account).collect()
    }

    async fn open_session(
        &self,
        password_hash: &str,
        session: &NewSession<'_>,
        replaces: Option<&SessionHash>,
        max_sessions: u32,
        counters: &[AttemptCounter; 2],
    ) -> Result<bool> {
        let mut steps = vec![insert_session::<E>(password_hash, session)];
        steps.extend(end_attempt::<E>(counters, true));
        steps.extend(
            replaces
                .map(|replaced| Step::new(E::STATEMENTS.delete_session_of, [Blob(replaced), Text(session.user_id)])),
        );
        let is_opened = self.transaction(&steps).await?;
        if is_opened {
            self.delete_oldest_sessions(session, max_sessions.into()).await?;
        }
        Ok(is_opened)
    }

    async fn session(&self, hash: &SessionHash, now: i64) -> Result<Option<SessionRow>> {
        let rows = self.fetch(E::STATEMENTS.session, &[Blob(hash), Int(now)]).await?;
        let session = |mut row: Row| {
            let (user_id, expires) = (row.text()?, row.int()?);
            let state = if row.is_empty() { None } else { Some(state(row)?).filter(|state| !state.text.is_empty()) };
            Ok(SessionRow { user_id, expires, state })
        };
        rows.into_iter().next().map(session).transpose()
    }

    async fn session_state(&self, hash: &SessionHash, now: i64) -> Result<Option<StateRecord>> {
        let rows = self.fetch(E::STATEMENTS.session_state, &[Blob(hash), Int(now)]).await?;
        rows.into_iter().next().map(state).transpose()
    }

    async fn save_state(&self, hash: &SessionHash, version: i64, state: &str) -> Result<bool> {
        Ok(self.execute(E::STATEMENTS.save_state, &[Text(state), Blob(hash), Int(version)]).await? == 1)
    }

    async fn delete_session(&self, hash: &SessionHash) -> Result<()> {
        self.execute(E::STATEMENTS.delete_session, &[Blob(hash)]).await.map(drop)
    }

    async fn delete_sessions(&self, user_id: &str) -> Result<()> {
        self.execute(E::STATEMENTS.delete_sessions, &[Text(user_id)]).await.map(drop)
    }

    async fn count_attempt(&self, counters: &[AttemptCounter; 2], now: i64) -> Result<Option<i64>> {
        retry(|| self.try_count(counters, now)).await
    }

    async fn end_attempt(&self, counters: &[AttemptCounter; 2], is_success: bool) -> Result<()> {
        self.transaction(&end_attempt::<E>(counters, is_success)).await.map(drop)
    }

    async fn delete_expired(&self, now: i64) -> Result<u64> {
        let args = [Int(now), Int(EXPIRED_BATCH)];
        let sessions = self.execute(E::STATEMENTS.delete_expired, &args).await?;
        Ok(sessions + self.execute(E::STATEMENTS.delete_expired_attempts, &args).await?)
    }

    async fn close(&self) {
        self.executor.close().await;
    }
}
