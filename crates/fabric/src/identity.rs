//! Who an agent is: its key, its certificate and whom it trusts, in one file, so that they change
//! together or not at all.

use crate::authority::{new_key, pem};
use crate::certificate::{CertificateError, Facts};
use crate::{Fingerprint, HostName};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use thiserror::Error;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// Key, certificate, authorities.
const IDENTITY: &str = "identity.pem";
/// The key of an enrolment that has not been answered yet.
const PENDING: &str = "enrolment.pem";

/// Why an agent has no identity that it could use.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// It was never enrolled.
    #[error("this node is not enrolled: there is no {0}. Enrol it with a token from an administrator")]
    Missing(PathBuf),
    /// It was away for too long.
    #[error(
        "the certificate of node {host} expired at {ended_at}: enrol the node anew, with a new token from an administrator"
    )]
    Expired {
        /// The node.
        host: HostName,
        /// When its certificate ended.
        ended_at: OffsetDateTime,
    },
    /// The file is damaged.
    #[error("{path}: {why}. Remove it and enrol the node anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// The file system's.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// The library could not make a key.
    #[error("a key could not be made: {0}")]
    Key(#[from] rcgen::Error),
}

/// An agent's identity. It has no `Debug`: a key is in it.
pub struct Identity {
    pub(crate) host: HostName,
    pub(crate) key: Zeroizing<Vec<u8>>,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) authorities: Vec<CertificateDer<'static>>,
    pub(crate) renew_at: SystemTime,
    pub(crate) ends_at: SystemTime,
}

impl Identity {
    /// The node.
    #[must_use]
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// When its certificate ends.
    #[must_use]
    pub fn ends_at(&self) -> SystemTime {
        self.ends_at
    }

    /// Puts together what belongs together, and nothing else.
    pub(crate) fn new(
        key: &KeyPair,
        certificate: CertificateDer<'static>,
        authorities: Vec<CertificateDer<'static>>,
    ) -> Result<Self, CertificateError> {
        let facts = Facts::read(&certificate)?;
        if facts.key != key.subject_public_key_info() {
            return Err(CertificateError("is for another key"));
        }
        if authorities.is_empty() {
            return Err(CertificateError("comes without its authority"));
        }
        let renew_at = facts.renew_at();
        let host = facts.host.ok_or(CertificateError("names no node"))?;
        let key = Zeroizing::new(key.serialize_der());
        Ok(Self { host, key, certificate, authorities, renew_at, ends_at: facts.ends_at })
    }

    /// Refuses it once it has expired.
    pub(crate) fn current(self, now: SystemTime) -> Result<Self, IdentityError> {
        if now < self.ends_at {
            return Ok(self);
        }
        Err(IdentityError::Expired { host: self.host, ended_at: OffsetDateTime::from(self.ends_at) })
    }

    pub(crate) fn trusts(&self, authority: Fingerprint) -> bool {
        self.authorities.iter().any(|own| Fingerprint::of(own) == authority)
    }
}

/// The directory that an agent keeps its identity in.
#[derive(Clone, Debug)]
pub struct IdentityStore(PathBuf);

impl IdentityStore {
    /// In this directory, which is made when it is needed.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// Reads the identity. Whether it has expired is not looked at.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn load(&self) -> Result<Identity, IdentityError> {
        let path = self.0.join(IDENTITY);
        let text = match fs::read(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(IdentityError::Missing(path));
            }
            Err(error) => return Err(IdentityError::File { path, error }),
        };
        let damaged = |why| IdentityError::Damaged { path: path.clone(), why };
        let key = key_of_pem(&text).ok_or(damaged("there is no P-256 key in it"))?;
        let mut certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<_, _>>()
            .map_err(|_| damaged("a certificate in it cannot be read"))?;
        if certificates.is_empty() {
            return Err(damaged("there is no certificate in it"));
        }
        let authorities = certificates.split_off(1);
        let certificate = certificates.remove(0);
        Identity::new(&key, certificate, authorities).map_err(|error| damaged(error.0))
    }

    /// Replaces the identity, at once and for good.
    pub(crate) fn save(&self, identity: &Identity) -> Result<(), IdentityError> {
        let key = KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(&**identity.key),
            &PKCS_ECDSA_P256_SHA256,
        )?;
        let mut text = Zeroizing::new(key.serialize_pem());
        for certificate in std::iter::once(&identity.certificate).chain(&identity.authorities) {
            // The buffer grows: what it leaves behind is wiped by nobody else.
            text = Zeroizing::new(format!("{}{}", *text, pem("CERTIFICATE", certificate)));
        }
        self.replace(IDENTITY, text.as_bytes())
    }

    /// The key of an enrolment that may have been sent already and was not answered; otherwise a new
    /// one, on disk before it is used. By it the control plane knows a second attempt with the same
    /// token from somebody else's.
    pub(crate) fn pending_key(&self) -> Result<KeyPair, IdentityError> {
        if let Ok(text) = fs::read(self.0.join(PENDING)).map(Zeroizing::new)
            && let Some(key) = key_of_pem(&text)
        {
            return Ok(key);
        }
        let key = new_key()?;
        self.replace(PENDING, Zeroizing::new(key.serialize_pem()).as_bytes())?;
        Ok(key)
    }

    /// The enrolment is done.
    pub(crate) fn forget_pending(&self) {
        // If it stays it is used by the next enrolment, which does no harm.
        drop(fs::remove_file(self.0.join(PENDING)));
    }

    fn replace(&self, name: &str, content: &[u8]) -> Result<(), IdentityError> {
        let path = self.0.join(name);
        write(&self.0, &path, content).map_err(|error| IdentityError::File { path, error })
    }
}

/// A request (PKCS #10, DER) for a certificate of this key; the authority knows whom it is for.
pub(crate) fn request(key: &KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    Ok(CertificateParams::default().serialize_request(key)?.der().to_vec())
}

fn key_of_pem(text: &[u8]) -> Option<KeyPair> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(text).ok()?;
    KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256).ok()
}

/// By a new file that takes the place of the old one, so that a power cut leaves one of them whole.
fn write(directory: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let beside = path.with_extension("new");
    // Its mode counts only when it is made here.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(directory)?.sync_all()
}
