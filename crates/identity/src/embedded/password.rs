//! Passwords at rest: argon2id (RFC 9106) with 19 MiB, two passes and one lane.
//!
//! Hashing is slow and takes memory on purpose, so it runs on threads of its own, few at a time,
//! and the queue in front of them is bounded.

use super::error::Error;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::rand;
use karez_model::Secret;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Kibibytes, passes and lanes.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// What an unknown user's password is compared with, so that it takes as long as a known one's.
/// No password has this hash, as far as anybody knows.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGF0IGFsbCAhIQ$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// So many may wait for a thread; at some 20 ms each this is about two seconds.
const QUEUE: usize = 128;

/// Hashes passwords, and compares them with their hashes.
pub(super) struct Hasher {
    threads: Arc<Semaphore>,
    queue: Semaphore,
}

impl Hasher {
    /// Makes one that hashes at most `threads` at a time.
    pub(super) fn new(threads: usize) -> Self {
        let threads = threads.max(1);
        Self { threads: Arc::new(Semaphore::new(threads)), queue: Semaphore::new(QUEUE + threads) }
    }

    /// The hash of a password, in the PHC string format.
    pub(super) async fn hash(&self, password: Secret) -> Result<String, Error> {
        self.run(move || {
            let mut salt = [0; 16];
            rand::fill(&mut salt).map_err(|_| Error::Bug("no randomness for a salt".to_owned()))?;
            let salt = SaltString::encode_b64(&salt).map_err(failed)?;
            let hash = argon2()?.hash_password(password.expose().as_bytes(), &salt).map_err(failed)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether the password is that of the hash. Without a hash it is not, after the same time.
    pub(super) async fn verify(&self, password: Secret, hash: Option<String>) -> Result<bool, Error> {
        self.run(move || {
            let hash = PasswordHash::new(hash.as_deref().unwrap_or(NOBODY)).map_err(failed)?;
            match argon2()?.verify_password(password.expose().as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::Password) => Ok(false),
                Err(error) => Err(failed(error)),
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let Ok(_place) = self.queue.try_acquire() else {
            return Err(Error::TooManyAttempts { retry_after: 2 });
        };
        let thread = Arc::clone(&self.threads).acquire_owned().await;
        let thread = thread.map_err(|_| Error::Bug("the hashing threads are gone".to_owned()))?;
        // The permit goes along: a client that hangs up must not make room for another hash
        // while the memory of its own is still in use.
        let work = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(thread);
            result
        });
        work.await.map_err(|error| Error::Bug(format!("hashing a password: {error}")))?
    }
}

fn argon2() -> Result<Argon2<'static>, Error> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).map_err(|error| Error::Bug(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn failed(error: argon2::password_hash::Error) -> Error {
    Error::Bug(format!("hashing a password: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_only() {
        let hasher = Hasher::new(1);
        let hash = hasher.hash(secret("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(hasher.verify(secret("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify(secret("correct horsf"), Some(hash.clone())).await.unwrap());
        assert_ne!(
            hasher.hash(secret("correct horse")).await.unwrap(),
            hash,
            "each hash has a salt of its own"
        );
    }

    #[tokio::test]
    async fn nobody_has_no_password_and_costs_as_much_to_find_out_as_somebody() {
        let hasher = Hasher::new(1);
        assert!(!hasher.verify(secret(""), None).await.unwrap());
        let somebody = hasher.hash(secret("x")).await.unwrap();
        let (somebody, nobody) = (PasswordHash::new(&somebody).unwrap(), PasswordHash::new(NOBODY).unwrap());
        let cost = |hash: &PasswordHash<'_>| {
            let salt = hash.salt.unwrap().as_str().len();
            (hash.algorithm.to_string(), hash.version, hash.params.clone(), salt, hash.hash.unwrap().len())
        };
        assert_eq!(cost(&somebody), cost(&nobody));
    }

    #[tokio::test]
    async fn more_than_the_queue_holds_is_refused_at_once() {
        let hasher = Hasher::new(1);
        let _busy = hasher.queue.acquire_many(u32::try_from(QUEUE + 1).unwrap()).await.unwrap();
        let refused = hasher.verify(secret("x"), None).await;
        assert!(matches!(refused, Err(Error::TooManyAttempts { retry_after: 2 })));
    }
}
