//! Accounts and sessions: every rule about them, once, over whichever store.

pub(crate) mod password;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use method_sdk::host::{self, BoxFuture, SessionRecord};
use method_sdk::{DatabaseHandle, Error, Result, code};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::account::password::{MAX_PASSWORD_BYTES, Passwords, is_legacy_hash};
use crate::store::{NewSession, SessionHash, Store};

/// The longest user id, in bytes.
const MAX_USER_ID_BYTES: usize = 255;

/// Random bytes in a session's id; the id is their lowercase hex.
const SESSION_ID_BYTES: usize = 32;

/// The accounts and sessions of a server.
pub(crate) struct AccountService {
    store: Box<dyn Store>,
    passwords: Passwords,
    session_ttl: Duration,
}

impl AccountService {
    pub(crate) fn new(store: Box<dyn Store>, passwords: Passwords, session_ttl: Duration) -> Self {
        AccountService { store, passwords, session_ttl }
    }

    /// The store, for what has no rules: whether it answers, and letting it go.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// How often a password has been hashed or checked since the start; for tests without a socket.
    #[cfg(feature = "testing")]
    pub(crate) fn password_runs(&self) -> u64 {
        self.passwords.runs()
    }

    /// The session that a client names, if it is there and has not expired.
    pub(crate) async fn session(&self, session_id: &str) -> Result<Option<SessionRecord>> {
        if session_id.len() != 2 * SESSION_ID_BYTES {
            return Ok(None);
        }
        let Some(row) = self.store.session(&hash_session_id(session_id), now()).await? else { return Ok(None) };
        Ok(Some(SessionRecord {
            user_id: row.user_id,
            session_id: session_id.to_owned(),
            expires: row.expires,
            state: serde_json::from_str(&row.state)?,
            state_version: row.state_version,
        }))
    }

    /// Removes the sessions that have expired; answers how many they were.
    pub(crate) async fn delete_expired(&self) -> Result<u64> {
        let mut total = 0;
        loop {
            let removed = self.store.delete_expired(now()).await?;
            total += removed;
            if removed == 0 {
                return Ok(total);
            }
        }
    }

    /// Makes an account that has no session yet.
    pub(crate) async fn create_without_session(&self, user_id: &str, password: &str) -> Result<()> {
        let password_hash = self.hash_for(user_id, password).await?;
        if !self.store.create_account(user_id, &password_hash, now(), None).await? {
            return Err(code::USER_ID_TAKEN.into());
        }
        Ok(())
    }

    /// Takes over an account with the hash of its password; false if there is one of that user id.
    pub(crate) async fn import(&self, user_id: &str, password_hash: &str) -> Result<bool> {
        if !is_user_id(user_id) {
            return Err(code::INVALID_USER_ID.into());
        }
        if !is_legacy_hash(password_hash) {
            return Err(code::INVALID_CREDENTIALS.into());
        }
        self.store.create_account(user_id, password_hash, now(), None).await
    }

    /// Gives an account another password and ends all its sessions; false if there is no such account.
    pub(crate) async fn set_password(&self, user_id: &str, password: &str) -> Result<bool> {
        let new_hash = self.hash_for(user_id, password).await?;
        // Only somebody who changes the password at the same time is a reason to try again.
        while let Some(old_hash) = self.store.password_hash(user_id).await? {
            if self.store.change_password(user_id, &old_hash, &new_hash, None).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn hash_for(&self, user_id: &str, new_password: &str) -> Result<String> {
        if !is_user_id(user_id) {
            return Err(code::INVALID_USER_ID.into());
        }
        check_new_password(new_password, "/password")?;
        self.passwords.hash(new_password).await
    }

    async fn create(&self, user_id: &str, password: &str) -> Result<SessionRecord> {
        let password_hash = self.hash_for(user_id, password).await?;
        let record = self.new_session(user_id)?;
        if !self.store.create_account(user_id, &password_hash, now(), Some(&row(&record))).await? {
            return Err(code::USER_ID_TAKEN.into());
        }
        Ok(record)
    }

    async fn login(&self, user_id: &str, password: &str, replaces: Option<&str>) -> Result<SessionRecord> {
        let (password_hash, needs_rehash) = self.check_password(user_id, password).await?;
        let record = self.new_session(user_id)?;
        let replaces = replaces.map(hash_session_id);
        if !self.store.open_session(&password_hash, &row(&record), replaces.as_ref()).await? {
            return Err(code::INVALID_CREDENTIALS.into());
        }
        if needs_rehash && let Err(error) = self.rehash(user_id, password, &password_hash).await {
            tracing::warn!(
                user = user_id,
                "the login is is_valid, but its outdated password hash could not be renewed: {error}"
            );
        }
        Ok(record)
    }

    async fn rehash(&self, user_id: &str, password: &str, old_hash: &str) -> Result<()> {
        let new_hash = self.passwords.hash(password).await?;
        self.store.rehash(user_id, old_hash, &new_hash).await
    }

    async fn update(&self, user_id: &str, password: &str, new_password: Option<&str>) -> Result<Option<SessionRecord>> {
        if let Some(new_password) = new_password {
            check_new_password(new_password, "/new_password")?;
        }
        let (old_hash, _) = self.check_password(user_id, password).await?;
        let Some(new_password) = new_password else { return Ok(None) };
        let new_hash = self.passwords.hash(new_password).await?;
        let record = self.new_session(user_id)?;
        if !self.store.change_password(user_id, &old_hash, &new_hash, Some(&row(&record))).await? {
            return Err(code::INVALID_CREDENTIALS.into());
        }
        Ok(Some(record))
    }

    /// The account's hash, if the password is right, and whether it needs a rehash. One run of argon2, whoever is asked for.
    async fn check_password(&self, user_id: &str, password: &str) -> Result<(String, bool)> {
        let found = if is_user_id(user_id) { self.store.password_hash(user_id).await? } else { None };
        let check = self.passwords.verify(user_id, password, found.as_deref()).await?;
        match found {
            Some(hash) if check.is_valid => Ok((hash, check.needs_rehash)),
            _ => Err(code::INVALID_CREDENTIALS.into()),
        }
    }

    fn new_session(&self, user_id: &str) -> Result<SessionRecord> {
        let mut id = [0; SESSION_ID_BYTES];
        getrandom::fill(&mut id)?;
        Ok(SessionRecord {
            user_id: user_id.to_owned(),
            session_id: base16ct::lower::encode_string(&id),
            expires: now().saturating_add_unsigned(self.session_ttl.as_secs()),
            state: Map::new(),
            state_version: 0,
        })
    }
}

impl host::AccountApi for AccountService {
    fn connection(&self) -> &DatabaseHandle {
        self.store.connection()
    }

    fn create<'a>(&'a self, user_id: &'a str, password: &'a str) -> BoxFuture<'a, Result<SessionRecord>> {
        Box::pin(AccountService::create(self, user_id, password))
    }

    fn login<'a>(
        &'a self,
        user_id: &'a str,
        password: &'a str,
        replaces: Option<&'a str>,
    ) -> BoxFuture<'a, Result<SessionRecord>> {
        Box::pin(AccountService::login(self, user_id, password, replaces))
    }

    fn update<'a>(
        &'a self,
        user_id: &'a str,
        password: &'a str,
        new_password: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>>> {
        Box::pin(AccountService::update(self, user_id, password, new_password))
    }

    fn logout<'a>(&'a self, session_id: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.store.delete_session(&hash_session_id(session_id)).await })
    }

    fn clear_sessions<'a>(&'a self, user_id: &'a str) -> BoxFuture<'a, Result<()>> {
        self.store.delete_sessions(user_id)
    }

    fn save_state<'a>(&'a self, session_id: &'a str, version: i64, state: String) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let saved = self.store.save_state(&hash_session_id(session_id), version, &state).await?;
            // Not saved is a conflict or the end of the session; the second is an error, and loading tells which.
            if !saved {
                self.load_state(session_id).await?;
            }
            Ok(saved)
        })
    }

    fn load_state<'a>(&'a self, session_id: &'a str) -> BoxFuture<'a, Result<(Map<String, Value>, i64)>> {
        Box::pin(async move {
            let record = self.session(session_id).await?.ok_or(code::INVALID_SESSION_ID)?;
            Ok((record.state, record.state_version))
        })
    }
}

fn is_user_id(user_id: &str) -> bool {
    (1..=MAX_USER_ID_BYTES).contains(&user_id.len()) && !user_id.chars().any(char::is_control)
}

fn check_new_password(password: &str, path: &str) -> Result<()> {
    if (1..=MAX_PASSWORD_BYTES).contains(&password.len()) {
        return Ok(());
    }
    let what = format!("expected 1 to {MAX_PASSWORD_BYTES} bytes, not {}", password.len());
    Err(Error::invalid_parameters(path, &what))
}

fn hash_session_id(session_id: &str) -> SessionHash {
    Sha256::digest(session_id).into()
}

fn row(record: &SessionRecord) -> NewSession<'_> {
    NewSession {
        hash: hash_session_id(&record.session_id),
        user_id: &record.user_id,
        created: now(),
        expires: record.expires,
    }
}

/// Unix seconds, on this server's clock.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
