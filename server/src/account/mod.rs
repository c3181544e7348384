//! The rules of accounts and sessions, the same for every store.

pub(crate) mod password;
mod throttle;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use method_sdk::host::{self, BoxFuture, SessionRecord, StateRecord};
use method_sdk::{DatabaseHandle, Error, Result, code};
use sha2::{Digest, Sha256};

use crate::account::password::{MAX_PASSWORD_BYTES, Passwords, QueuedCall, is_legacy_hash, is_valid_length};
use crate::client_key::ClientKey;
use crate::config::Config;
use crate::store::retry::{Attempt, retry};
use crate::store::{AttemptCounter, NewSession, SessionHash, SessionRow, Store};

/// The longest user id, in bytes.
const MAX_USER_ID_BYTES: usize = 255;

/// The number of random bytes in a session id, which is their lowercase hex.
const SESSION_ID_BYTES: usize = 32;

/// The client of the commands, which run on the server's machine.
const OPERATOR: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The longest part of an attempted user id in the log, in bytes.
const MAX_LOGGED_USER_ID_BYTES: usize = 256;

/// The accounts and sessions of a server.
pub(crate) struct AccountService {
    store: Box<dyn Store>,
    passwords: Passwords,
    session_ttl: Duration,
    max_sessions: u32,
}

/// A password that was right.
struct VerifiedPassword {
    /// The account's hash.
    hash: String,
    needs_rehash: bool,
    /// The counters of the attempt.
    counters: [AttemptCounter; 2],
}

impl AccountService {
    pub(crate) fn new(store: Box<dyn Store>, passwords: Passwords, config: &Config) -> Self {
        let (session_ttl, max_sessions) = (config.session_ttl, config.max_sessions_per_account);
        AccountService { store, passwords, session_ttl, max_sessions }
    }

    /// Returns the store, for operations without rules, such as `ping` and `close`.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Returns how often a password has been hashed or verified since the start.
    #[cfg(feature = "testing")]
    pub(crate) fn password_runs(&self) -> u64 {
        self.passwords.runs()
    }

    /// Returns the session with this id, unless it has expired.
    pub(crate) async fn session(&self, session_id: &str) -> Result<Option<SessionRecord>> {
        if session_id.len() != 2 * SESSION_ID_BYTES {
            return Ok(None);
        }
        let Some(stored) = self.store.session(&hash_session_id(session_id), now()).await? else { return Ok(None) };
        let SessionRow { user_id, expires, state } = stored;
        Ok(Some(SessionRecord { user_id, session_id: session_id.to_owned(), expires, state }))
    }

    /// Deletes all expired sessions and returns their number.
    pub(crate) async fn delete_expired(&self) -> Result<u64> {
        let mut total = 0;
        loop {
            let deleted = self.store.delete_expired(now()).await?;
            total += deleted;
            if deleted == 0 {
                return Ok(total);
            }
        }
    }

    /// Creates an account without a session.
    pub(crate) async fn create_without_session(&self, user_id: &str, password: &str) -> Result<()> {
        let password_hash = self.hash_for(user_id, password, OPERATOR).await?;
        if !self.store.create_account(user_id, &password_hash, now(), None).await? {
            return Err(code::USER_ID_TAKEN.into());
        }
        Ok(())
    }

    /// Creates an account of the Python version, with its password hash. Returns `false` if the user id is taken.
    pub(crate) async fn import(&self, user_id: &str, password_hash: &str) -> Result<bool> {
        if !is_user_id(user_id) {
            return Err(code::INVALID_USER_ID.into());
        }
        if !is_legacy_hash(password_hash) {
            return Err(code::INVALID_CREDENTIALS.into());
        }
        self.store.create_account(user_id, password_hash, now(), None).await
    }

    /// Replaces the password of an account and ends all its sessions. Returns `false` if there is no such account.
    ///
    /// # Errors
    /// Returns error 1016 if other changes of the same password repeatedly come first.
    pub(crate) async fn set_password(&self, user_id: &str, password: &str) -> Result<bool> {
        let new_hash = &*self.hash_for(user_id, password, OPERATOR).await?;
        retry(|| async move {
            let Some(old_hash) = self.store.password_hash(user_id).await? else { return Ok(Attempt::Finished(false)) };
            let counters = &[throttle::account_counter(user_id)];
            if self.store.change_password(user_id, &old_hash, new_hash, None, counters).await? {
                return Ok(Attempt::Finished(true));
            }
            Ok(Attempt::Conflict("another change of the password came first".into()))
        })
        .await
    }

    async fn hash_for(&self, user_id: &str, new_password: &str, client: IpAddr) -> Result<String> {
        if !is_user_id(user_id) {
            return Err(code::INVALID_USER_ID.into());
        }
        check_new_password(new_password, "/password")?;
        let call = self.passwords.queue(ClientKey::new(client))?;
        self.passwords.hash(&call, new_password).await
    }

    async fn rehash(&self, call: &QueuedCall, user_id: &str, password: &str, old_hash: &str) -> Result<()> {
        let new_hash = self.passwords.hash(call, password).await?;
        self.store.rehash(user_id, old_hash, &new_hash).await
    }

    /// Verifies a password, unless too many attempts of the client or at the account have failed. The caller ends the attempt of the result.
    ///
    /// # Errors
    /// - 1005 (Invalid user ID or password): there is no such account, or the password is wrong.
    /// - 1013 (Too many requests): too many attempts have failed. The password has not been verified.
    /// - 1016 (Service unavailable): too many calls are waiting.
    async fn verify_password(
        &self,
        call: &QueuedCall,
        user_id: &str,
        password: &str,
        client: ClientKey,
    ) -> Result<VerifiedPassword> {
        let counters = throttle::counters(user_id, client);
        // Counted before it is verified: of attempts at the same time no more pass than one after the other.
        if let Some(retry_at) = self.store.count_attempt(&counters, now()).await? {
            let wait = u64::try_from(retry_at.saturating_sub(now())).unwrap_or_default().max(1);
            let error = Error::from(code::TOO_MANY_REQUESTS).with_retry_after(Duration::from_secs(wait));
            return Err(error.with_source(format!("too many failed logins as {}", sanitize(user_id))));
        }
        match self.check_password(call, user_id, password).await {
            Ok((hash, needs_rehash)) => Ok(VerifiedPassword { hash, needs_rehash, counters }),
            Err(error) => {
                if error.code() != code::INVALID_CREDENTIALS.number {
                    self.store.end_attempt(&counters, false).await?;
                }
                Err(error)
            }
        }
    }

    /// Verifies a password. Returns the account's hash, and whether it needs a rehash. Every user id costs the same work, those of no account
    /// too.
    async fn check_password(&self, call: &QueuedCall, user_id: &str, password: &str) -> Result<(String, bool)> {
        let is_user_id = is_user_id(user_id);
        let stored_hash = self.store.password_hash(if is_user_id { user_id } else { "" }).await?.filter(|_| is_user_id);
        let check = self.passwords.verify(call, user_id, password, stored_hash.as_deref()).await?;
        match stored_hash {
            Some(hash) if check.is_valid => Ok((hash, check.needs_rehash)),
            _ => Err(wrong_password(user_id)),
        }
    }

    fn new_session(&self, user_id: &str) -> Result<SessionRecord> {
        let mut id = [0; SESSION_ID_BYTES];
        getrandom::fill(&mut id)?;
        Ok(SessionRecord {
            user_id: user_id.to_owned(),
            session_id: base16ct::lower::encode_string(&id),
            expires: now().saturating_add_unsigned(self.session_ttl.as_secs()),
            state: None,
        })
    }
}

impl host::AccountApi for AccountService {
    fn connection(&self) -> &DatabaseHandle {
        self.store.connection()
    }

    fn create<'a>(
        &'a self,
        user_id: &'a str,
        password: &'a str,
        client: IpAddr,
    ) -> BoxFuture<'a, Result<SessionRecord>> {
        Box::pin(async move {
            let password_hash = self.hash_for(user_id, password, client).await?;
            let record = self.new_session(user_id)?;
            if !self.store.create_account(user_id, &password_hash, now(), Some(&to_store(&record))).await? {
                return Err(code::USER_ID_TAKEN.into());
            }
            Ok(record)
        })
    }

    fn login<'a>(
        &'a self,
        user_id: &'a str,
        password: &'a str,
        client: IpAddr,
        replaces: Option<&'a str>,
    ) -> BoxFuture<'a, Result<SessionRecord>> {
        Box::pin(async move {
            let client = ClientKey::new(client);
            let call = self.passwords.queue(client)?;
            let verified = self.verify_password(&call, user_id, password, client).await?;
            let VerifiedPassword { hash, needs_rehash, counters } = verified;
            let record = self.new_session(user_id)?;
            let replaced = replaces.map(hash_session_id);
            let session = to_store(&record);
            if !self.store.open_session(&hash, &session, replaced.as_ref(), self.max_sessions, &counters).await? {
                return Err(wrong_password(user_id));
            }
            if needs_rehash && let Err(error) = self.rehash(&call, user_id, password, &hash).await {
                tracing::warn!(
                    user = user_id,
                    "cannot renew an outdated password hash, but the login succeeds: {error}"
                );
            }
            Ok(record)
        })
    }

    fn update<'a>(
        &'a self,
        user_id: &'a str,
        password: &'a str,
        client: IpAddr,
        new_password: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<SessionRecord>>> {
        Box::pin(async move {
            if let Some(new_password) = new_password {
                check_new_password(new_password, "/new_password")?;
            }
            let client = ClientKey::new(client);
            let call = self.passwords.queue(client)?;
            let VerifiedPassword { hash: old_hash, counters, .. } =
                self.verify_password(&call, user_id, password, client).await?;
            let Some(new_password) = new_password else {
                self.store.end_attempt(&counters, true).await?;
                return Ok(None);
            };
            let new_hash = self.passwords.hash(&call, new_password).await?;
            let record = self.new_session(user_id)?;
            if !self.store.change_password(user_id, &old_hash, &new_hash, Some(&to_store(&record)), &counters).await? {
                return Err(wrong_password(user_id));
            }
            Ok(Some(record))
        })
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
            // Either the version differs or the session has ended. The latter is an error, which loading returns.
            if !saved {
                self.load_state(session_id).await?;
            }
            Ok(saved)
        })
    }

    fn load_state<'a>(&'a self, session_id: &'a str) -> BoxFuture<'a, Result<StateRecord>> {
        Box::pin(async move {
            let stored = self.store.session_state(&hash_session_id(session_id), now()).await?;
            stored.ok_or_else(|| code::INVALID_SESSION_ID.into())
        })
    }
}

fn is_user_id(user_id: &str) -> bool {
    (1..=MAX_USER_ID_BYTES).contains(&user_id.len()) && !user_id.chars().any(char::is_control)
}

/// Returns error 1005. The log has the user id, which may be any text.
fn wrong_password(user_id: &str) -> Error {
    Error::from(code::INVALID_CREDENTIALS).with_source(format!("failed login as {}", sanitize(user_id)))
}

/// Returns a user id for the log: shortened, quoted and without control characters.
fn sanitize(user_id: &str) -> String {
    format!("{:?}", &user_id[..user_id.floor_char_boundary(MAX_LOGGED_USER_ID_BYTES)])
}

fn check_new_password(password: &str, path: &str) -> Result<()> {
    if is_valid_length(password) {
        return Ok(());
    }
    let message = format!("expected 1 to {MAX_PASSWORD_BYTES} bytes, not {}", password.len());
    Err(Error::invalid_parameters(path, &message))
}

fn hash_session_id(session_id: &str) -> SessionHash {
    Sha256::digest(session_id).into()
}

fn to_store(record: &SessionRecord) -> NewSession<'_> {
    NewSession {
        hash: hash_session_id(&record.session_id),
        user_id: &record.user_id,
        created: now(),
        expires: record.expires,
    }
}

/// Returns the unix seconds of this server's clock.
fn now() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}
