//! Secrets at rest: AES-256-GCM-SIV (RFC 8452) with the row's identity as associated data, so
//! that a sealed value cannot be moved to another row.
//!
//! A sealed value is one byte of version (1), four bytes of key id, twelve bytes of nonce, and the
//! ciphertext with its tag. The key file holds one key a line, `<id> <64 hex digits>`; the last
//! one seals, all of them open.

use crate::Error;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use karez_model::Secret;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const HEAD: usize = 1 + 4 + NONCE_LEN;

/// The keys of one key file. Clones share them.
#[derive(Clone)]
pub struct Keyring {
    path: PathBuf,
    keys: Arc<RwLock<Keys>>,
    /// The file was made by this process.
    is_fresh: bool,
}

/// What the key file held when it was last read, after keys that it held before.
struct Keys {
    all: Vec<Key>,
    /// The file that was read.
    stamp: Option<Stamp>,
}

/// Tells one state of the file from another: writing makes a new file each time.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified: (i64, i64),
}

struct Key {
    id: u32,
    bytes: Zeroizing<Vec<u8>>,
    cipher: LessSafeKey,
}

impl Keyring {
    /// Reads the key file; makes one with a fresh key when there is none.
    ///
    /// # Errors
    /// [`Error::Sealed`] names the file and what is wrong with it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let is_fresh = !path.exists();
        if is_fresh {
            write_new(path, &[Key::generate()?])?;
        }
        Ok(Self { is_fresh, ..Self::existing(path)? })
    }

    /// Reads the key file, which must be there.
    ///
    /// # Errors
    /// [`Error::Sealed`] names the file and what is wrong with it.
    pub fn existing(path: &Path) -> Result<Self, Error> {
        let keys = Arc::new(RwLock::new(Keys { all: Vec::new(), stamp: None }));
        let keyring = Self { path: path.to_owned(), keys, is_fresh: false };
        keyring.read_again()?;
        Ok(keyring)
    }

    /// Refuses keys that cannot open what is stored. A key that was made just now cannot: the file
    /// that belongs to the database was not found, and the fresh one is removed again.
    pub(crate) fn check(&self, sealed: &[u8]) -> Result<(), Error> {
        let file = self.path.display();
        if self.is_fresh {
            let _ = fs::remove_file(&self.path);
            return Err(Error::Sealed(format!(
                "the key file {file} is not there, and the database holds secrets that are sealed with its keys; put it back"
            )));
        }
        match key_id(sealed) {
            Some(id) if !self.has(id) => Err(Error::Sealed(format!(
                "the database holds secrets that are sealed with the key {id:08x}, which the key file {file} does not have; is it another installation's?"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// Adds a fresh key to the file. It seals from now on; the others still open.
    ///
    /// # Errors
    /// [`Error::Sealed`] when the file cannot be written.
    pub fn add_key(&self) -> Result<u32, Error> {
        let mut keys = read(&self.path)?;
        let key = Key::generate()?;
        let id = key.id;
        keys.push(key);
        write(&self.path, &keys)?;
        self.read_again()?;
        Ok(id)
    }

    /// Removes all keys but the one that seals from the file.
    ///
    /// # Errors
    /// [`Error::Sealed`] when the file cannot be written.
    pub fn retire_old_keys(&self) -> Result<usize, Error> {
        let mut keys = read(&self.path)?;
        let old = keys.len().saturating_sub(1);
        keys.drain(..old);
        write(&self.path, &keys)?;
        self.read_again()?;
        Ok(old)
    }

    /// Whether a sealed value needs to be sealed again, because its key is not the newest.
    #[must_use]
    pub fn is_outdated(&self, sealed: &[u8]) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.all.last().is_some_and(|key| key_id(sealed) != Some(key.id))
    }

    /// Seals a secret for the row that `place` names: table, column and id. The file is looked at
    /// each time: what is sealed with a key after another process has replaced it would be missed
    /// by that process, and then be lost with the key.
    ///
    /// # Errors
    /// [`Error::Sealed`] when there is no randomness to be had.
    pub fn seal(&self, secret: &Secret, place: &str) -> Result<Vec<u8>, Error> {
        if stamp(&self.path) != self.keys.read().unwrap_or_else(PoisonError::into_inner).stamp {
            self.read_again()?;
        }
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.all.last().ok_or_else(|| Error::Sealed("there is no key".into()))?;
        let mut nonce = [0; NONCE_LEN];
        fill(&mut nonce)?;
        let mut text = Zeroizing::new(secret.expose().as_bytes().to_vec());
        let tag = key
            .cipher
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), &mut text)
            .map_err(|_| Error::Sealed("sealing failed".into()))?;
        let mut sealed = Vec::with_capacity(HEAD + text.len() + tag.as_ref().len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&key.id.to_be_bytes());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what was sealed for the same place.
    ///
    /// # Errors
    /// [`Error::Sealed`] when the key is missing or the value was tampered with or moved.
    pub fn open_sealed(&self, sealed: &[u8], place: &str) -> Result<Secret, Error> {
        let id = key_id(sealed).ok_or_else(|| Error::Sealed(format!("{place}: not a sealed value")))?;
        if !self.has(id) {
            // Another process may have rotated the keys.
            self.read_again()?;
        }
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let Some(key) = keys.all.iter().find(|key| key.id == id) else {
            return Err(Error::Sealed(format!(
                "{place} is sealed with the key {id:08x}, which is not in the key file"
            )));
        };
        let nonce = Nonce::try_assume_unique_for_key(&sealed[5..HEAD])
            .map_err(|_| Error::Sealed(format!("{place}: not a sealed value")))?;
        let mut text = Zeroizing::new(sealed[HEAD..].to_vec());
        let open = key
            .cipher
            .open_in_place(nonce, Aad::from(place), &mut text)
            .map_err(|_| Error::Sealed(format!("{place} was tampered with, or moved from another row")))?;
        let text = std::str::from_utf8(open).map_err(|_| Error::Sealed(format!("{place}: not a text")))?;
        Ok(Secret::new(text.to_owned()))
    }

    fn has(&self, id: u32) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).all.iter().any(|key| key.id == id)
    }

    /// Takes over the keys of the file. Those that it no longer has still open what was read
    /// before they were retired.
    fn read_again(&self) -> Result<(), Error> {
        // First the stamp: when the file changes in between, it is read once more.
        let stamp = stamp(&self.path);
        let new = read(&self.path)?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.all.retain(|key| !new.iter().any(|other| other.id == key.id));
        keys.all.extend(new);
        keys.stamp = stamp;
        Ok(())
    }
}

impl Key {
    fn generate() -> Result<Self, Error> {
        let mut bytes = Zeroizing::new(vec![0; 32]);
        fill(&mut bytes)?;
        Self::new(bytes)
    }

    /// The id is taken from a digest of the key, so that two files never disagree about it.
    fn new(bytes: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        let unbound = UnboundKey::new(&AES_256_GCM_SIV, &bytes)
            .map_err(|_| Error::Sealed(format!("a key has {} bytes, it must have 32", bytes.len())))?;
        let mut labelled = Zeroizing::new(b"karez key id".to_vec());
        labelled.extend_from_slice(&bytes);
        let digest = digest::digest(&digest::SHA256, &labelled);
        let id = digest.as_ref().iter().take(4).fold(0, |id, byte| id << 8 | u32::from(*byte));
        Ok(Self { id, cipher: LessSafeKey::new(unbound), bytes })
    }
}

fn key_id(sealed: &[u8]) -> Option<u32> {
    let id: [u8; 4] = sealed.get(1..5)?.try_into().ok()?;
    (sealed.len() >= HEAD && sealed[0] == VERSION).then(|| u32::from_be_bytes(id))
}

fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| Error::Sealed("no randomness to be had".into()))
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp { inode: metadata.ino(), modified: (metadata.mtime(), metadata.mtime_nsec()) })
}

fn read(path: &Path) -> Result<Vec<Key>, Error> {
    let wrong = |why: String| Error::Sealed(format!("key file {}: {why}", path.display()));
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?);
    let mut keys = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let digits = line.split_whitespace().next_back().unwrap_or_default();
        let bytes = unhex(digits).ok_or_else(|| wrong(format!("line {}: not 64 hex digits", at + 1)))?;
        keys.push(Key::new(bytes).map_err(|error| wrong(error.to_string()))?);
    }
    if keys.is_empty() {
        return Err(wrong("it holds no key".into()));
    }
    Ok(keys)
}

/// Writes a key file where there is none. Of two processes that do so at the same time one keeps
/// its key, and the other reads that.
fn write_new(path: &Path, keys: &[Key]) -> Result<(), Error> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    save(path, keys, &beside, |beside, path| {
        let linked = fs::hard_link(beside, path);
        fs::remove_file(beside)?;
        match linked {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    })
}

/// Writes beside the file and renames, so that a crash leaves the old or the new one, whole.
fn write(path: &Path, keys: &[Key]) -> Result<(), Error> {
    save(path, keys, &path.with_extension("new"), |beside, path| fs::rename(beside, path))
}

fn save(
    path: &Path,
    keys: &[Key],
    beside: &Path,
    put: impl FnOnce(&Path, &Path) -> std::io::Result<()>,
) -> Result<(), Error> {
    let mut text = Zeroizing::new(String::new());
    for key in keys {
        let _ = write!(text, "{:08x} ", key.id);
        for byte in key.bytes.iter() {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
    }
    let save = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(beside)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        put(beside, path)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::File::open(folder)?.sync_all()?;
        }
        Ok(())
    };
    save().map_err(|error| Error::Sealed(format!("key file {}: {error}", path.display())))
}

fn unhex(digits: &str) -> Option<Zeroizing<Vec<u8>>> {
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
    (0..64).step_by(2).map(byte).collect::<Option<Vec<_>>>().map(Zeroizing::new)
}

#[cfg(test)]
mod tests;
