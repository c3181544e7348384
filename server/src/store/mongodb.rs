//! Accounts and sessions in MongoDB and databases that speak its protocol.
//!
//! There are no transactions, which a standalone MongoDB does not have. Every step is one atomic operation on one document, and the
//! order of the steps grants no access if the last ones never happen.

use std::time::Duration;

use async_trait::async_trait;
use method_sdk::host::StateRecord;
use method_sdk::{DatabaseHandle, Result};
use mongodb::action::Find;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{ClientOptions, ServerAddress, Tls};
use mongodb::{Client, Collection, Database, IndexModel};

use super::error::{SchemaError, StoreError};
use super::guard::{DatabaseGuard, connect_timeout};
use super::interface::{
    AccountRow, AttemptCounter, EXPIRED_BATCH, NewSession, SIGNATURE_VERSION, SessionHash, SessionRow, Store,
};
use super::remote::unverified_warning;
use super::retry::{Attempt, retry};
use crate::config::Config;

/// The version of the schema that this server creates. The database's version is in the document `_id: "schema"` of the collection
/// `simpleapi_schema`.
const SCHEMA_VERSION: i64 = 2;

/// The first waits of an [`AttemptCounter`], in seconds.
const ATTEMPT_WAITS: [i64; 5] = [30, 60, 120, 240, 480];

/// The code of a unique index's error.
const DUPLICATE_KEY: i32 = 11000;

/// The names of the collections have a prefix: `accounts` and `sessions` in the same database may be the Python version's.
struct MongoStore {
    /// `_id` is the user id: its index, which every collection has, makes user ids unique and compares bytes.
    accounts: Collection<Document>,
    /// `_id` is the session's hash.
    sessions: Collection<Document>,
    /// `_id` is the counter's key.
    attempts: Collection<Document>,
    schema: Collection<Document>,
    client: Client,
    connection: DatabaseHandle,
    description: String,
    warning: Option<String>,
    guard: DatabaseGuard,
}

pub(super) async fn open(config: &Config) -> Result<Box<dyn Store>, StoreError> {
    let mut options = match &config.mongodb_url {
        Some(url) => ClientOptions::parse(url.expose()).await.map_err(|error| invalid_url(&error))?,
        None => {
            let (host, port) = (config.mongodb_host.clone(), Some(config.mongodb_port));
            ClientOptions::builder().hosts(vec![ServerAddress::Tcp { host, port }]).build()
        }
    };
    options.app_name.get_or_insert_with(|| "simpleapi".to_owned());
    options.max_pool_size.get_or_insert(config.database_connections);
    options.server_selection_timeout.get_or_insert(connect_timeout(config));
    options.connect_timeout.get_or_insert(connect_timeout(config));
    // Without calls, a recovered server is noticed after this time.
    options.heartbeat_freq.get_or_insert(Duration::from_secs(1));
    let hosts = options.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let name = options.default_database.clone().unwrap_or_else(|| config.mongodb_database.clone());
    let description = format!("mongodb {name} at {hosts}");
    let is_verified = matches!(&options.tls, Some(Tls::Enabled(tls)) if tls.allow_invalid_certificates != Some(true));
    let warning = options.hosts.iter().find_map(|address| {
        let ServerAddress::Tcp { host, .. } = address else { return None };
        unverified_warning(&description, host, is_verified, "`?tls=true&tlsCAFile=PEM_FILE` to `mongodb_url`")
    });
    let client = Client::with_options(options).map_err(|error| invalid_url(&error))?;
    let database: Database = client.database(&name);
    Ok(Box::new(MongoStore {
        accounts: database.collection("simpleapi_accounts"),
        sessions: database.collection("simpleapi_sessions"),
        attempts: database.collection("simpleapi_login_attempts"),
        schema: database.collection("simpleapi_schema"),
        client,
        connection: DatabaseHandle::new(method_sdk::Database::Mongodb(database)),
        description,
        warning,
        guard: DatabaseGuard::new(config),
    }))
}

fn invalid_url(error: &Error) -> StoreError {
    StoreError::InvalidKey { key: "mongodb_url", problem: describe_url_error(error) }
}

/// Returns the problem with a URL. The driver's own message may quote a password that is not percent-encoded.
pub(crate) fn describe_url_error(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::InvalidArgument { .. } => {
            "expected `mongodb://USER:PASSWORD@HOST:27017/DATABASE`, with `%2F` for a `/` \
            in the password, and the like for `:`, `?`, `#`, `[`, `]`, `@` and `%`"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

impl MongoStore {
    async fn run<T>(&self, work: impl Future<Output = mongodb::error::Result<T>>) -> Result<T> {
        self.guard.run(|| self.apply_migrations(), async { Ok(work.await?) }).await
    }

    async fn apply_migrations(&self) -> Result<()> {
        let version = self.schema_version().await?;
        if (0..SCHEMA_VERSION).contains(&version) {
            // One at a time: FerretDB 1.24 fails at a command with two indexes that exist already.
            for (collection, field) in
                [(&self.sessions, "user_id"), (&self.sessions, "expires"), (&self.attempts, "expires")]
            {
                collection.create_index(IndexModel::builder().keys(doc! { field: 1 }).build()).await?;
            }
            let update = doc! { "$set": { "version": SCHEMA_VERSION } };
            match self.schema.update_one(doc! { "_id": "schema" }, update).upsert(true).await {
                Err(error) if is_duplicate(&error) => {} // another server has inserted the same document
                updated => drop(updated?),
            }
        }
        Ok(SchemaError::check(version, SCHEMA_VERSION)?)
    }

    /// Returns the version of the schema: 0 if there is no document of it.
    async fn schema_version(&self) -> Result<i64> {
        let Some(schema) = self.schema.find_one(doc! { "_id": "schema" }).await? else { return Ok(0) };
        match schema.get("version") {
            Some(Bson::Int64(version)) => Ok(*version),
            version => Err(SchemaError::Invalid { version: version.unwrap_or(&Bson::Null).to_string() }.into()),
        }
    }

    async fn insert_session(&self, session: &NewSession<'_>) -> mongodb::error::Result<()> {
        let document = doc! {
            "_id": id(&session.hash),
            "user_id": session.user_id,
            "created": session.created,
            "expires": session.expires,
            "signature_version": SIGNATURE_VERSION,
            "state": "{}",
            "state_version": 0_i64,
        };
        self.sessions.insert_one(document).await.map(drop)
    }

    /// Returns these fields of a session that has not expired at `now`.
    async fn find_session(
        &self,
        hash: &SessionHash,
        now: i64,
        fields: Document,
    ) -> mongodb::error::Result<Option<Document>> {
        let unexpired = doc! { "_id": id(hash), "expires": { "$gt": now } };
        self.sessions.find_one(unexpired).projection(fields).await
    }

    async fn remove_session(&self, hash: &SessionHash) -> mongodb::error::Result<()> {
        self.sessions.delete_one(doc! { "_id": id(hash) }).await.map(drop)
    }

    async fn remove_sessions(&self, user_id: &str) -> mongodb::error::Result<()> {
        self.sessions.delete_many(doc! { "user_id": user_id }).await.map(drop)
    }

    /// Deletes the oldest sessions of an account beyond `max`, except `newest`. Of logins at the same time, the last to read sees the sessions
    /// of all.
    async fn delete_oldest_sessions(&self, newest: &NewSession<'_>, max: u32) -> mongodb::error::Result<()> {
        let others = doc! { "user_id": newest.user_id, "_id": { "$ne": id(&newest.hash) } };
        let oldest = self.sessions.find(others).sort(doc! { "created": -1 }).skip(u64::from(max) - 1);
        delete_found(&self.sessions, oldest).await.map(drop)
    }

    async fn has_password_hash(&self, user_id: &str, password_hash: &str) -> mongodb::error::Result<bool> {
        let account = self.accounts.find_one(doc! { "_id": user_id, "password_hash": password_hash });
        Ok(account.await?.is_some())
    }

    async fn set_password_hash(&self, user_id: &str, old: &str, new: &str) -> mongodb::error::Result<bool> {
        let account = doc! { "_id": user_id, "password_hash": old };
        let updated = self.accounts.update_one(account, doc! { "$set": { "password_hash": new } }).await?;
        Ok(updated.matched_count == 1)
    }
}

impl MongoStore {
    /// Counts an attempt in one counter. Returns the end of a wait instead, if there is one.
    async fn count(&self, counter: &AttemptCounter, now: i64) -> mongodb::error::Result<Attempt<Option<i64>>> {
        let AttemptCounter { key, limit, window } = counter;
        let conflict = || Attempt::Conflict("another attempt was counted first".into());
        let found = self.attempts.find_one(doc! { "_id": id(key) }).await?;
        let field = |name| found.as_ref().map_or(Ok(0), |found| found.get_i64(name)).map_err(malformed);
        let (old_failures, next_at, old_expires) = (field("failures")?, field("next_at")?, field("expires")?);
        let is_expired = old_expires <= now;
        if !is_expired && next_at > now {
            return Ok(Attempt::Finished(Some(next_at)));
        }
        let failures = if is_expired { 1 } else { old_failures + 1 };
        let wait =
            |beyond: i64| usize::try_from(beyond).ok().and_then(|n| ATTEMPT_WAITS.get(n)).copied().unwrap_or(*window);
        let next_at = if failures < *limit { 0 } else { now + wait(failures - limit) };
        let counted = doc! { "failures": failures, "next_at": next_at, "expires": now + window };
        if found.is_none() {
            let mut document = counted;
            document.insert("_id", id(key));
            return match self.attempts.insert_one(document).await {
                Err(error) if is_duplicate(&error) => Ok(conflict()),
                inserted => inserted.map(|_| Attempt::Finished(None)),
            };
        }
        let unchanged = doc! { "_id": id(key), "failures": old_failures, "expires": old_expires };
        let updated = self.attempts.update_one(unchanged, doc! { "$set": counted }).await?;
        Ok(if updated.matched_count == 1 { Attempt::Finished(None) } else { conflict() })
    }

    async fn take_back(&self, counter: &AttemptCounter) -> mongodb::error::Result<()> {
        let counted = doc! { "_id": id(&counter.key), "failures": { "$gt": 0_i64 } };
        let update = doc! { "$inc": { "failures": -1_i64 }, "$set": { "next_at": 0_i64 } };
        self.attempts.update_one(counted, update).await.map(drop)
    }

    async fn finish_attempt(&self, counters: &[AttemptCounter; 2], is_success: bool) -> mongodb::error::Result<()> {
        let [client, account] = counters;
        if is_success {
            self.attempts.delete_one(doc! { "_id": id(&client.key) }).await?;
        } else {
            self.take_back(client).await?;
        }
        self.take_back(account).await
    }

    /// Deletes a bounded number of documents of a collection that have expired at `now`.
    async fn delete_expired_of(&self, collection: &Collection<Document>, now: i64) -> mongodb::error::Result<u64> {
        let expired = doc! { "expires": { "$lte": now } };
        delete_found(collection, collection.find(expired).limit(EXPIRED_BATCH)).await
    }
}

/// Deletes the documents that `find` finds, and returns their number.
async fn delete_found(collection: &Collection<Document>, find: Find<'_, Document>) -> mongodb::error::Result<u64> {
    let mut cursor = find.projection(doc! { "_id": 1 }).await?;
    let mut ids: Vec<Bson> = Vec::new();
    while cursor.advance().await? {
        ids.extend(cursor.deserialize_current()?.remove("_id"));
    }
    if ids.is_empty() {
        return Ok(0);
    }
    Ok(collection.delete_many(doc! { "_id": { "$in": ids } }).await?.deleted_count)
}

fn id(hash: &SessionHash) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: hash.to_vec() }
}

fn is_duplicate(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == DUPLICATE_KEY)
}

/// Creates the error for a document without a required field, or with one of another type.
fn malformed(error: mongodb::bson::error::Error) -> Error {
    Error::custom(error)
}

#[async_trait]
impl Store for MongoStore {
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
        self.run(async { Ok(()) }).await
    }

    async fn ping(&self) -> Result<()> {
        self.run(async { self.accounts.find_one(doc! {}).await.map(drop) }).await
    }

    /// The session comes first, since it is unusable without the account: after a failure between the two, creating the account again
    /// succeeds.
    async fn create_account(
        &self,
        user_id: &str,
        password_hash: &str,
        created: i64,
        session: Option<&NewSession<'_>>,
    ) -> Result<bool> {
        self.run(async {
            if let Some(session) = session {
                self.insert_session(session).await?;
            }
            let account = doc! { "_id": user_id, "password_hash": password_hash, "created": created };
            match self.accounts.insert_one(account).await {
                Err(error) if is_duplicate(&error) => {
                    if let Some(session) = session {
                        self.remove_session(&session.hash).await?;
                    }
                    Ok(false)
                }
                inserted => inserted.map(|_| true),
            }
        })
        .await
    }

    async fn password_hash(&self, user_id: &str) -> Result<Option<String>> {
        self.run(async {
            let account = self.accounts.find_one(doc! { "_id": user_id }).await?;
            account.map(|account| account.get_str("password_hash").map(str::to_owned)).transpose().map_err(malformed)
        })
        .await
    }

    async fn rehash(&self, user_id: &str, old: &str, new: &str) -> Result<()> {
        self.run(async { self.set_password_hash(user_id, old, new).await.map(drop) }).await
    }

    /// Deletes sessions before and after the change: if the second time never happens, only sessions created in between remain.
    async fn change_password(
        &self,
        user_id: &str,
        old: &str,
        new: &str,
        session: Option<&NewSession<'_>>,
        counters: &[AttemptCounter],
    ) -> Result<bool> {
        self.run(async {
            if !self.has_password_hash(user_id, old).await? {
                return Ok(false);
            }
            self.remove_sessions(user_id).await?;
            if !self.set_password_hash(user_id, old, new).await? {
                return Ok(false);
            }
            self.remove_sessions(user_id).await?;
            for counter in counters {
                self.attempts.delete_one(doc! { "_id": id(&counter.key) }).await?;
            }
            if let Some(session) = session {
                self.insert_session(session).await?;
            }
            Ok(true)
        })
        .await
    }

    async fn delete_account(&self, user_id: &str) -> Result<bool> {
        self.run(async {
            let deleted = self.accounts.delete_one(doc! { "_id": user_id }).await?.deleted_count == 1;
            self.remove_sessions(user_id).await?;
            Ok(deleted)
        })
        .await
    }

    async fn accounts(&self, after: &str, limit: i64) -> Result<Vec<AccountRow>> {
        self.run(async {
            let find = self.accounts.find(doc! { "_id": { "$gt": after } }).sort(doc! { "_id": 1 }).limit(limit);
            let mut cursor = find.await?;
            let mut accounts = Vec::new();
            while cursor.advance().await? {
                let account = cursor.deserialize_current()?;
                let user_id = account.get_str("_id").map_err(malformed)?.to_owned();
                accounts.push(AccountRow { user_id, created: account.get_i64("created").map_err(malformed)? });
            }
            Ok(accounts)
        })
        .await
    }

    /// Reads the account after inserting the session: a change of the password that this read misses finds the session and
    /// deletes it.
    async fn open_session(
        &self,
        password_hash: &str,
        session: &NewSession<'_>,
        replaces: Option<&SessionHash>,
        max_sessions: u32,
        counters: &[AttemptCounter; 2],
    ) -> Result<bool> {
        self.run(async {
            self.insert_session(session).await?;
            if !self.has_password_hash(session.user_id, password_hash).await? {
                self.remove_session(&session.hash).await?;
                return Ok(false);
            }
            if let Some(replaces) = replaces {
                self.sessions.delete_one(doc! { "_id": id(replaces), "user_id": session.user_id }).await?;
            }
            self.delete_oldest_sessions(session, max_sessions).await?;
            self.finish_attempt(counters, true).await?;
            Ok(true)
        })
        .await
    }

    async fn session(&self, hash: &SessionHash, now: i64) -> Result<Option<SessionRow>> {
        self.run(async {
            let session = self.find_session(hash, now, doc! { "user_id": 1, "expires": 1 }).await?;
            let row = |session: Document| {
                let (user_id, expires) = (session.get_str("user_id")?.to_owned(), session.get_i64("expires")?);
                Ok(SessionRow { user_id, expires, state: None })
            };
            session.map(row).transpose().map_err(malformed)
        })
        .await
    }

    async fn session_state(&self, hash: &SessionHash, now: i64) -> Result<Option<StateRecord>> {
        self.run(async {
            let session = self.find_session(hash, now, doc! { "state": 1, "state_version": 1 }).await?;
            let row = |session: Document| {
                Ok(StateRecord {
                    text: session.get_str("state")?.to_owned(),
                    version: session.get_i64("state_version")?,
                })
            };
            session.map(row).transpose().map_err(malformed)
        })
        .await
    }

    async fn save_state(&self, hash: &SessionHash, version: i64, state: &str) -> Result<bool> {
        self.run(async {
            let session = doc! { "_id": id(hash), "state_version": version };
            let update = doc! { "$set": { "state": state, "state_version": version + 1 } };
            Ok(self.sessions.update_one(session, update).await?.matched_count == 1)
        })
        .await
    }

    async fn delete_session(&self, hash: &SessionHash) -> Result<()> {
        self.run(self.remove_session(hash)).await
    }

    async fn delete_sessions(&self, user_id: &str) -> Result<()> {
        self.run(self.remove_sessions(user_id)).await
    }

    async fn count_attempt(&self, counters: &[AttemptCounter; 2], now: i64) -> Result<Option<i64>> {
        let [client, account] = counters;
        let count = async |counter| retry(|| self.run(self.count(counter, now))).await;
        if let Some(retry_at) = count(client).await? {
            return Ok(Some(retry_at));
        }
        let retry_at = count(account).await?;
        if retry_at.is_some() {
            self.run(self.take_back(client)).await?;
        }
        Ok(retry_at)
    }

    async fn end_attempt(&self, counters: &[AttemptCounter; 2], is_success: bool) -> Result<()> {
        self.run(self.finish_attempt(counters, is_success)).await
    }

    async fn delete_expired(&self, now: i64) -> Result<u64> {
        self.run(async {
            let sessions = self.delete_expired_of(&self.sessions, now).await?;
            Ok(sessions + self.delete_expired_of(&self.attempts, now).await?)
        })
        .await
    }

    async fn close(&self) {
        self.client.clone().shutdown().await;
    }
}
