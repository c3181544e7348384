//! Accounts and sessions in MongoDB, and what speaks its protocol.
//!
//! Without transactions, which a server that stands alone does not have: every step is one atomic operation on one document,
//! and the steps are in an order that leaves nothing open if the last ones are never taken.

use std::time::Duration;

use async_trait::async_trait;
use method_sdk::{DatabaseHandle, Result};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{ClientOptions, ServerAddress};
use mongodb::{Client, Collection, Database, IndexModel};

use super::{
    AccountRow, DatabaseGuard, EXPIRED_AT_A_TIME, NewSession, NewerSchema, SIGNATURE_VERSION, SessionHash, SessionRow,
    Store, StoreError, connect_timeout,
};
use crate::config::Config;

/// The schema that this server makes; the document `_id: "schema"` of the collection `simpleapi_schema` says which there is.
const SCHEMA: i64 = 1;

/// The code of the error that a unique index answers with.
const DUPLICATE_KEY: i32 = 11000;

/// The collections have names of their own: `accounts` and `sessions` of the same database may be an ancestor's.
struct MongoStore {
    /// `_id` is the user id: the index that every collection has decides who is first, and compares bytes.
    accounts: Collection<Document>,
    /// `_id` is the session's hash.
    sessions: Collection<Document>,
    schema: Collection<Document>,
    client: Client,
    connection: DatabaseHandle,
    description: String,
    guard: DatabaseGuard,
}

pub(super) async fn open(config: &Config) -> Result<Box<dyn Store>, StoreError> {
    let mut options = match &config.mongodb_url {
        Some(url) => ClientOptions::parse(url.expose())
            .await
            .map_err(|error| StoreError::Configuration(format!("mongodb_url {}", unreadable(&error))))?,
        None => {
            let (host, port) = (config.mongodb_host.clone(), Some(config.mongodb_port));
            ClientOptions::builder().hosts(vec![ServerAddress::Tcp { host, port }]).build()
        }
    };
    options.app_name.get_or_insert_with(|| "simpleapi".to_owned());
    options.max_pool_size.get_or_insert(config.database_connections);
    options.server_selection_timeout.get_or_insert(connect_timeout(config));
    options.connect_timeout.get_or_insert(connect_timeout(config));
    // How soon a server that has come back is noticed while nobody asks for it.
    options.heartbeat_freq.get_or_insert(Duration::from_secs(1));
    let hosts = options.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let name = options.default_database.clone().unwrap_or_else(|| config.mongodb_database.clone());
    let client = Client::with_options(options).map_err(|error| StoreError::Configuration(error.to_string()))?;
    let database: Database = client.database(&name);
    Ok(Box::new(MongoStore {
        accounts: database.collection("simpleapi_accounts"),
        sessions: database.collection("simpleapi_sessions"),
        schema: database.collection("simpleapi_schema"),
        client,
        connection: DatabaseHandle::new(method_sdk::Database::Mongodb(database)),
        description: format!("mongodb {name} at {hosts}"),
        guard: DatabaseGuard::new(config),
    }))
}

/// What is wrong with a URL. The driver's own words may quote a password that is not encoded as it must be.
pub(crate) fn unreadable(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::InvalidArgument { .. } => "cannot be read: write mongodb://USER:PASSWORD@HOST:27017/DATABASE, with \
            %2F for a `/` in the password, and so on for `:`, `?`, `#`, `[`, `]`, `@` and `%`"
            .to_owned(),
        _ => format!("cannot be used: {error}"),
    }
}

impl MongoStore {
    async fn with<T>(&self, work: impl Future<Output = mongodb::error::Result<T>>) -> Result<T> {
        self.guard.pass(self.migrate(), async { Ok(work.await?) }).await
    }

    async fn migrate(&self) -> Result<()> {
        let by_id = doc! { "_id": "schema" };
        let found = self.schema.find_one(by_id.clone()).await?;
        let found = found.and_then(|schema| schema.get_i64("version").ok()).unwrap_or_default();
        if found > SCHEMA {
            return Err(NewerSchema { found, known: SCHEMA }.into());
        }
        if found < SCHEMA {
            // One at a time: FerretDB 1.24 fails at a command with two that are there already.
            for field in ["user_id", "expires"] {
                self.sessions.create_index(IndexModel::builder().keys(doc! { field: 1 }).build()).await?;
            }
            let stamp = doc! { "$set": { "version": SCHEMA } };
            self.schema.update_one(by_id, stamp).upsert(true).await?;
        }
        Ok(())
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

    async fn delete_session(&self, hash: &SessionHash) -> mongodb::error::Result<()> {
        self.sessions.delete_one(doc! { "_id": id(hash) }).await.map(drop)
    }

    async fn delete_sessions(&self, user_id: &str) -> mongodb::error::Result<()> {
        self.sessions.delete_many(doc! { "user_id": user_id }).await.map(drop)
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

fn id(hash: &SessionHash) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: hash.to_vec() }
}

fn is_duplicate(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == DUPLICATE_KEY)
}

/// The document was not written by a server of this kind.
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

    async fn migrate_now(&self) -> Result<()> {
        self.with(async { Ok(()) }).await
    }

    async fn ping(&self) -> Result<()> {
        self.with(async { self.accounts.find_one(doc! {}).await.map(drop) }).await
    }

    /// The session comes first, which nobody can use before the account is there: a failure between the two can be tried again.
    async fn create_account(
        &self,
        user_id: &str,
        password_hash: &str,
        created: i64,
        session: Option<&NewSession<'_>>,
    ) -> Result<bool> {
        self.with(async {
            if let Some(session) = session {
                self.insert_session(session).await?;
            }
            let account = doc! { "_id": user_id, "password_hash": password_hash, "created": created };
            match self.accounts.insert_one(account).await {
                Err(error) if is_duplicate(&error) => {
                    if let Some(session) = session {
                        self.delete_session(&session.hash).await?;
                    }
                    Ok(false)
                }
                inserted => inserted.map(|_| true),
            }
        })
        .await
    }

    async fn password_hash(&self, user_id: &str) -> Result<Option<String>> {
        self.with(async {
            let account = self.accounts.find_one(doc! { "_id": user_id }).await?;
            account.map(|account| account.get_str("password_hash").map(str::to_owned)).transpose().map_err(malformed)
        })
        .await
    }

    async fn rehash(&self, user_id: &str, old: &str, new: &str) -> Result<()> {
        self.with(async { self.set_password_hash(user_id, old, new).await.map(drop) }).await
    }

    /// Sessions end before and after the change: what is left if this stops between the two are those opened in between.
    async fn change_password(
        &self,
        user_id: &str,
        old: &str,
        new: &str,
        session: Option<&NewSession<'_>>,
    ) -> Result<bool> {
        self.with(async {
            if !self.has_password_hash(user_id, old).await? {
                return Ok(false);
            }
            self.delete_sessions(user_id).await?;
            if !self.set_password_hash(user_id, old, new).await? {
                return Ok(false);
            }
            self.delete_sessions(user_id).await?;
            if let Some(session) = session {
                self.insert_session(session).await?;
            }
            Ok(true)
        })
        .await
    }

    async fn delete_account(&self, user_id: &str) -> Result<bool> {
        self.with(async {
            let deleted = self.accounts.delete_one(doc! { "_id": user_id }).await?.deleted_count == 1;
            self.delete_sessions(user_id).await?;
            Ok(deleted)
        })
        .await
    }

    async fn accounts(&self, after: &str, limit: i64) -> Result<Vec<AccountRow>> {
        self.with(async {
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

    /// The account is looked at after the session is there: a change of the password that it does not see will see the session,
    /// and end it.
    async fn open_session(
        &self,
        password_hash: &str,
        session: &NewSession<'_>,
        replaces: Option<&SessionHash>,
    ) -> Result<bool> {
        self.with(async {
            self.insert_session(session).await?;
            if !self.has_password_hash(session.user_id, password_hash).await? {
                self.delete_session(&session.hash).await?;
                return Ok(false);
            }
            if let Some(replaces) = replaces {
                self.sessions.delete_one(doc! { "_id": id(replaces), "user_id": session.user_id }).await?;
            }
            Ok(true)
        })
        .await
    }

    async fn session(&self, hash: &SessionHash, now: i64) -> Result<Option<SessionRow>> {
        self.with(async {
            let session = self.sessions.find_one(doc! { "_id": id(hash), "expires": { "$gt": now } }).await?;
            let row = |session: Document| {
                Ok(SessionRow {
                    user_id: session.get_str("user_id")?.to_owned(),
                    expires: session.get_i64("expires")?,
                    state: session.get_str("state")?.to_owned(),
                    state_version: session.get_i64("state_version")?,
                })
            };
            session.map(row).transpose().map_err(malformed)
        })
        .await
    }

    async fn save_state(&self, hash: &SessionHash, version: i64, state: &str) -> Result<bool> {
        self.with(async {
            let session = doc! { "_id": id(hash), "state_version": version };
            let update = doc! { "$set": { "state": state, "state_version": version + 1 } };
            Ok(self.sessions.update_one(session, update).await?.matched_count == 1)
        })
        .await
    }

    async fn delete_session(&self, hash: &SessionHash) -> Result<()> {
        self.with(self.delete_session(hash)).await
    }

    async fn delete_sessions(&self, user_id: &str) -> Result<()> {
        self.with(self.delete_sessions(user_id)).await
    }

    async fn delete_expired(&self, now: i64) -> Result<u64> {
        self.with(async {
            let expired = doc! { "expires": { "$lte": now } };
            let mut cursor = self.sessions.find(expired).projection(doc! { "_id": 1 }).limit(EXPIRED_AT_A_TIME).await?;
            let mut ids: Vec<Bson> = Vec::new();
            while cursor.advance().await? {
                ids.extend(cursor.deserialize_current()?.remove("_id"));
            }
            if ids.is_empty() {
                return Ok(0);
            }
            Ok(self.sessions.delete_many(doc! { "_id": { "$in": ids } }).await?.deleted_count)
        })
        .await
    }

    async fn close(&self) {
        self.client.clone().shutdown().await;
    }
}
