//! Password hashes: argon2id, off the threads that serve, and on at most one thread per core.

use std::sync::Arc;
#[cfg(feature = "testing")]
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use method_sdk::{Error, Result};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

/// The longest password, in bytes. A longer one is rejected, never truncated.
pub(crate) const MAX_PASSWORD_BYTES: usize = 1024;

/// The number of calls that may wait for a core. A further call returns error 1016 immediately.
const MAX_WAITING: usize = 256;

/// Hashes and verifies passwords.
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    cores: Arc<Semaphore>,
    queue: Semaphore,
    /// A hash that no password matches, so that an unknown user costs the same work as a known one.
    dummy_hash: String,
    #[cfg(feature = "testing")]
    runs: AtomicU64,
}

/// The result of verifying a password.
pub(crate) struct PasswordCheck {
    pub(crate) is_valid: bool,
    /// The hash is the Python version's, or has weaker parameters than new hashes.
    pub(crate) needs_rehash: bool,
}

impl Passwords {
    /// Creates a hasher with these parameters, which are [`Passwords::params`] except in tests.
    ///
    /// # Errors
    /// The operating system provides no random bytes, or argon2 rejects the parameters.
    pub(crate) fn new(params: Params) -> Result<Self> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        let dummy_hash = argon2.hash_password(&secret)?.to_string();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Passwords {
            argon2,
            cores: Arc::new(Semaphore::new(cores)),
            queue: Semaphore::new(cores + MAX_WAITING),
            dummy_hash,
            #[cfg(feature = "testing")]
            runs: AtomicU64::default(),
        })
    }

    /// Returns OWASP's first choice for argon2id, which is the crate's default: 19 MiB, 2 passes, 1 lane; about 21 ms of a core
    /// (<https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>).
    pub(crate) fn params() -> Params {
        Params::DEFAULT
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// Returns error 1016 if too many calls are waiting.
    pub(crate) async fn hash(&self, password: &str) -> Result<String> {
        let argon2 = self.argon2.clone();
        let password = password.to_owned();
        self.run(move || Ok(argon2.hash_password(password.as_bytes())?.to_string())).await
    }

    /// Verifies a password against an account's hash, or does the same work if there is no account.
    ///
    /// # Errors
    /// Returns error 1016 if too many calls are waiting, and error 1000 if the stored text is not a hash.
    pub(crate) async fn verify(&self, user_id: &str, password: &str, hash: Option<&str>) -> Result<PasswordCheck> {
        let argon2 = self.argon2.clone();
        if let Some(hash) = hash.filter(|hash| is_legacy_hash(hash)) {
            let is_valid = legacy_hash(user_id, password).as_bytes().ct_eq(hash.as_bytes()).into();
            self.run(move || Ok(argon2.hash_password(&[])?)).await?;
            return Ok(PasswordCheck { is_valid, needs_rehash: true });
        }
        let is_known = hash.is_some();
        let hash = hash.unwrap_or(&self.dummy_hash).to_owned();
        // No account has a password over the limit. An empty one replaces it, so that its length costs no work.
        let is_in_limits = (1..=MAX_PASSWORD_BYTES).contains(&password.len());
        let password = if is_in_limits { password.to_owned() } else { String::new() };
        self.run(move || {
            let hash = PasswordHash::new(&hash)?;
            let matches = argon2.verify_password(password.as_bytes(), &hash).is_ok();
            let is_valid = matches && is_known && is_in_limits;
            let (params, current) = (Params::try_from(&hash)?, argon2.params());
            let needs_rehash = params.m_cost() < current.m_cost() || params.t_cost() < current.t_cost();
            Ok(PasswordCheck { is_valid, needs_rehash })
        })
        .await
    }

    /// Returns how often argon2 has run since the start.
    #[cfg(feature = "testing")]
    pub(crate) fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let _permit =
            self.queue.try_acquire().map_err(|_| Error::unavailable("too many passwords are waiting to be hashed"))?;
        let core = self.cores.clone().acquire_owned().await?;
        #[cfg(feature = "testing")]
        self.runs.fetch_add(1, Ordering::Relaxed);
        // The work keeps its core to its end, even if the caller is cancelled.
        tokio::task::spawn_blocking(move || {
            let _core = core;
            work()
        })
        .await?
    }
}

/// Returns the Python version's hash of a password: the SHA-256 of user id, `simple_api` and password, in lowercase hex.
fn legacy_hash(user_id: &str, password: &str) -> String {
    let digest = Sha256::new().chain_update(user_id).chain_update("simple_api").chain_update(password).finalize();
    base16ct::lower::encode_string(&digest)
}

/// Returns `true` if a stored hash has the form of the Python version's.
pub(crate) fn is_legacy_hash(hash: &str) -> bool {
    hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::{is_legacy_hash, legacy_hash};

    #[test]
    fn the_legacy_hash_matches_the_python_versions_test_vector() {
        let hash = legacy_hash("alice", "secret");
        assert_eq!(hash, "f0a2b67345dd9b4f854ce4e84821b023c17fff2cce1bc9e7cfe1cc05c4f1e133");
        assert!(is_legacy_hash(&hash) && !is_legacy_hash(&hash.to_uppercase()) && !is_legacy_hash(&hash[1..]));
    }
}
