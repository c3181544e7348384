//! Password hashes: argon2id, off the threads that serve, and on at most one thread per core.

use std::collections::HashMap;
#[cfg(feature = "testing")]
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use method_sdk::{Error, Result};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;

use crate::client_key::ClientKey;

/// The longest password, in bytes. A longer one is rejected, never truncated.
pub(crate) const MAX_PASSWORD_BYTES: usize = 1024;

/// The number of calls of one client that may wait for a core, divided by the number of clients that wait: a client that sends many calls
/// does not keep others out. A further call returns error 1016 immediately.
const MAX_WAITING: usize = 256;

/// The length of a salt and of a hash, in bytes, as RFC 9106, 4 recommends.
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// Hashes and verifies passwords.
pub(crate) struct Passwords {
    params: Params,
    cores: Arc<Semaphore>,
    queue: Arc<Queue>,
    /// The memory of argon2, 19 MiB for each core that hashes: allocated once, because an allocator may keep what it is given back.
    memory: Arc<Mutex<Vec<Vec<Block>>>>,
    /// A hash that no password matches, so that an unknown user costs the same work as a known one.
    dummy_hash: String,
    #[cfg(feature = "testing")]
    runs: AtomicU64,
}

/// The calls that wait for a core or use one, by client.
type Queue = Mutex<HashMap<ClientKey, usize>>;

/// A place in the queue, which dropping it frees.
pub(crate) struct QueuedCall {
    client: ClientKey,
    queue: Arc<Queue>,
}

impl Drop for QueuedCall {
    fn drop(&mut self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(calls) = queue.get_mut(&self.client) {
            *calls -= 1;
            if *calls == 0 {
                queue.remove(&self.client);
            }
        }
    }
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
        let (mut salt, mut output) = ([0; SALT_BYTES], [0; HASH_BYTES]);
        getrandom::fill(&mut salt)?;
        getrandom::fill(&mut output)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Passwords {
            dummy_hash: phc_string(&params, &salt, &output)?,
            params,
            cores: Arc::new(Semaphore::new(cores)),
            queue: Arc::default(),
            memory: Arc::default(),
            #[cfg(feature = "testing")]
            runs: AtomicU64::default(),
        })
    }

    /// Returns OWASP's first choice for argon2id, which is the crate's default: 19 MiB, 2 passes, 1 lane; about 21 ms of a core
    /// (<https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>).
    pub(crate) fn params() -> Params {
        Params::DEFAULT
    }

    /// Takes a place in the queue for the calls of a client.
    ///
    /// # Errors
    /// Returns error 1016 if too many calls are waiting.
    pub(crate) fn queue(&self, client: ClientKey) -> Result<QueuedCall> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let other_clients = queue.len() - usize::from(queue.contains_key(&client));
        let share = (MAX_WAITING / (other_clients + 1)).max(1);
        let calls = queue.entry(client).or_default();
        if *calls >= share {
            return Err(Error::unavailable("too many passwords are waiting to be hashed"));
        }
        *calls += 1;
        Ok(QueuedCall { client, queue: self.queue.clone() })
    }

    /// Hashes a new password.
    pub(crate) async fn hash(&self, _call: &QueuedCall, password: &str) -> Result<String> {
        let (params, password) = (self.params.clone(), normalize(password));
        self.run(move |memory| hash(&params, password.as_bytes(), memory)).await
    }

    /// Verifies a password against an account's hash, or does the same work if there is no account.
    ///
    /// # Errors
    /// Returns error 1000 if the stored text is not a hash.
    pub(crate) async fn verify(
        &self,
        _call: &QueuedCall,
        user_id: &str,
        password: &str,
        stored: Option<&str>,
    ) -> Result<PasswordCheck> {
        // Every account costs the same: one run of argon2 and one legacy hash, and the one that the account does not have is compared with
        // a hash that matches nothing.
        let legacy = stored.filter(|hash| is_legacy_hash(hash));
        let matches_legacy =
            legacy_hash(user_id, password).as_bytes().ct_eq(legacy.unwrap_or(NO_LEGACY_HASH).as_bytes());
        let known = stored.filter(|_| legacy.is_none());
        let hash = known.unwrap_or(&self.dummy_hash).to_owned();
        // No account has a new password over the limit. An empty one replaces it, so that its length costs no work.
        let is_valid_length = is_valid_length(password);
        let password = if is_valid_length { password } else { "" };
        let normalized = normalize(password);
        // Hashes of older versions are those of passwords as they were sent. Whether there are two forms depends on the password alone.
        let as_sent = (normalized != password).then(|| password.to_owned());
        let params = self.params.clone();
        let (is_match, is_outdated) = self
            .run(move |memory| {
                let (is_match, is_outdated) = verify(&params, normalized.as_bytes(), &hash, memory)?;
                let Some(as_sent) = as_sent else { return Ok((is_match, is_outdated)) };
                let (is_match_as_sent, _) = verify(&params, as_sent.as_bytes(), &hash, memory)?;
                Ok((is_match || is_match_as_sent, is_outdated || is_match_as_sent))
            })
            .await?;
        let matches_argon2 = is_match && known.is_some() && is_valid_length;
        Ok(PasswordCheck {
            is_valid: matches_argon2 || bool::from(matches_legacy),
            // A legacy password that would not be accepted as a new one keeps its hash.
            needs_rehash: if legacy.is_some() { is_valid_length } else { is_outdated },
        })
    }

    /// Returns how often argon2 has run since the start.
    #[cfg(feature = "testing")]
    pub(crate) fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// Runs `work` on a core with the memory for argon2.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let core = self.cores.clone().acquire_owned().await?;
        #[cfg(feature = "testing")]
        self.runs.fetch_add(1, Ordering::Relaxed);
        let free_memory = self.memory.clone();
        // The work keeps its core to its end, even if the caller is cancelled.
        tokio::task::spawn_blocking(move || {
            let _core = core;
            let lock = || free_memory.lock().unwrap_or_else(PoisonError::into_inner);
            let mut memory = lock().pop().unwrap_or_default();
            let result = work(&mut memory);
            lock().push(memory);
            result
        })
        .await?
    }
}

/// Returns `true` for the lengths that a new password may have.
pub(crate) fn is_valid_length(password: &str) -> bool {
    (1..=MAX_PASSWORD_BYTES).contains(&password.len())
}

/// Returns the form in which a password is hashed. It is the same from every keyboard: characters are composed (NFC), and every space is
/// U+0020, as in RFC 8265, 4.2 (OpaqueString). Unlike there, no character is refused, because earlier versions accepted all.
fn normalize(password: &str) -> String {
    let is_space =
        |char| matches!(char, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}');
    password.chars().map(|char| if is_space(char) { ' ' } else { char }).nfc().collect()
}

/// Returns the PHC string of a password with a new salt.
fn hash(params: &Params, password: &[u8], memory: &mut Vec<Block>) -> Result<String> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt)?;
    let mut output = [0; HASH_BYTES];
    derive(params, password, &salt, &mut output, memory)?;
    phc_string(params, &salt, &output)
}

fn phc_string(params: &Params, salt: &[u8], output: &[u8]) -> Result<String> {
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params)?,
        salt: Some(Salt::new(salt)?),
        hash: Some(Output::new(output)?),
    };
    Ok(hash.to_string())
}

/// Returns whether a password matches a PHC string, and whether that has weaker parameters than `current`.
fn verify(current: &Params, password: &[u8], hash: &str, memory: &mut Vec<Block>) -> Result<(bool, bool)> {
    let hash = PasswordHash::new(hash)?;
    let params = Params::try_from(&hash)?;
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
        return Err(Error::internal("the stored password hash has no salt or no hash"));
    };
    let mut output = vec![0; expected.len()];
    derive(&params, password, salt, &mut output, memory)?;
    let is_outdated = params.m_cost() < current.m_cost() || params.t_cost() < current.t_cost();
    Ok((output.ct_eq(expected.as_bytes()).into(), is_outdated))
}

/// Runs argon2id, and extends `memory` if it is too small for the parameters.
fn derive(params: &Params, password: &[u8], salt: &[u8], output: &mut [u8], memory: &mut Vec<Block>) -> Result<()> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let blocks = params.block_count();
    if memory.len() < blocks {
        memory.resize(blocks, Block::default());
    }
    Ok(argon2.hash_password_into_with_memory(password, salt, output, &mut memory[..blocks])?)
}

/// A text of the length of a legacy hash that is none.
const NO_LEGACY_HASH: &str = "................................................................";

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
