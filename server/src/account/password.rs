//! Password hashes: argon2id, away from the threads that serve, and no more at a time than there are cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use method_sdk::{Error, Result};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

/// The longest password, in bytes. Nothing is ever cut off: a longer one is refused.
pub(crate) const MAX_PASSWORD_BYTES: usize = 1024;

/// Calls that may wait for a core; one more is answered 1016 at once.
const QUEUE: usize = 256;

/// Hashes and checks passwords.
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    cores: Arc<Semaphore>,
    queue: Semaphore,
    /// A hash that no password matches: an unknown user costs the same work as a known one.
    dummy_hash: String,
    runs: Arc<AtomicU64>,
}

/// What a check of a password came to.
pub(crate) struct PasswordCheck {
    pub(crate) is_valid: bool,
    /// The hash is an ancestor's, or was made with weaker parameters than today's.
    pub(crate) needs_rehash: bool,
}

impl Passwords {
    /// `params` are [`Passwords::params`] but in tests.
    ///
    /// # Errors
    /// The machine gives no random bytes, or the parameters are not argon2's.
    pub(crate) fn new(params: Params) -> Result<Self> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        let dummy_hash = argon2.hash_password(&secret)?.to_string();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Passwords {
            argon2,
            cores: Arc::new(Semaphore::new(cores)),
            queue: Semaphore::new(cores + QUEUE),
            dummy_hash,
            runs: Arc::default(),
        })
    }

    /// OWASP's first choice for argon2id, and the crate's default: 19 MiB, 2 passes, 1 lane; about 21 ms of a core.
    pub(crate) fn params() -> Params {
        Params::DEFAULT
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// 1016: too many others are waiting.
    pub(crate) async fn hash(&self, password: &str) -> Result<String> {
        let argon2 = self.argon2.clone();
        let password = password.to_owned();
        self.run(move || Ok(argon2.hash_password(password.as_bytes())?.to_string())).await
    }

    /// Checks a password against an account's hash, or against nobody's: the same work, whatever is asked.
    ///
    /// # Errors
    /// 1016: too many others are waiting. 1000: what is stored is not a hash.
    pub(crate) async fn verify(&self, user_id: &str, password: &str, hash: Option<&str>) -> Result<PasswordCheck> {
        let argon2 = self.argon2.clone();
        if let Some(hash) = hash.filter(|hash| is_legacy_hash(hash)) {
            let is_valid = legacy_hash(user_id, password).as_bytes().ct_eq(hash.as_bytes()).into();
            self.run(move || Ok(argon2.hash_password(&[])?)).await?;
            return Ok(PasswordCheck { is_valid, needs_rehash: true });
        }
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.dummy_hash).to_owned();
        // A password over the limit cannot be anybody's; an empty one takes its place so that no work is spent on its length.
        let fits = (1..=MAX_PASSWORD_BYTES).contains(&password.len());
        let password = if fits { password.to_owned() } else { String::new() };
        self.run(move || {
            let hash = PasswordHash::new(&hash)?;
            let is_valid = argon2.verify_password(password.as_bytes(), &hash).is_ok() && known && fits;
            let params = Params::try_from(&hash)?;
            let ours = argon2.params();
            let needs_rehash = params.m_cost() < ours.m_cost() || params.t_cost() < ours.t_cost();
            Ok(PasswordCheck { is_valid, needs_rehash })
        })
        .await
    }

    /// How often argon2 has run since the start.
    #[cfg(feature = "testing")]
    pub(crate) fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let _place =
            self.queue.try_acquire().map_err(|_| Error::unavailable("too many passwords wait to be checked"))?;
        let core = self.cores.clone().acquire_owned().await?;
        self.runs.fetch_add(1, Ordering::Relaxed);
        // The core is given back when the work is done, even if the caller has gone and waits no more.
        tokio::task::spawn_blocking(move || {
            let _core = core;
            work()
        })
        .await?
    }
}

/// The ancestor's hash of a password: the SHA-256 of user id, `simple_api` and password, in lowercase hex.
fn legacy_hash(user_id: &str, password: &str) -> String {
    let digest = Sha256::new().chain_update(user_id).chain_update("simple_api").chain_update(password).finalize();
    base16ct::lower::encode_string(&digest)
}

/// Whether a stored hash is of the ancestor's form.
pub(crate) fn is_legacy_hash(hash: &str) -> bool {
    hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::{is_legacy_hash, legacy_hash};

    #[test]
    fn the_ancestors_hash_is_that_of_its_vector() {
        let hash = legacy_hash("alice", "secret");
        assert_eq!(hash, "f0a2b67345dd9b4f854ce4e84821b023c17fff2cce1bc9e7cfe1cc05c4f1e133");
        assert!(is_legacy_hash(&hash) && !is_legacy_hash(&hash.to_uppercase()) && !is_legacy_hash(&hash[1..]));
    }
}
