//! What is read of certificates, and what they have in common.

use crate::HostName;
use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use thiserror::Error;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::X509Certificate;

/// Agents look for this name in a server's certificate, whatever address they have dialled: only
/// servers get certificates for servers from the deployment's own authority, and a name less in the
/// configuration is a name less to get wrong.
pub(crate) const SERVER_NAME: &str = "server.karez.internal";

/// Before the name of the node, in the URI that its certificate is for.
pub(crate) const AGENT_SCHEME: &str = "karez-agent:";

/// Certificates are good from a while before they are made: the clocks of nodes differ.
pub(crate) const BACKDATED: Duration = Duration::from_secs(3600);

/// The SHA-256 digest of a certificate in DER.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(sha256(certificate))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// A certificate that cannot be what it should be.
#[derive(Debug, Error)]
#[error("the certificate {0}")]
pub struct CertificateError(pub(crate) &'static str);

/// What we want to know of a certificate.
pub(crate) struct Facts {
    /// The node that it is for, if it is an agent's.
    pub host: Option<HostName>,
    /// The public key, as SubjectPublicKeyInfo in DER.
    pub key: Vec<u8>,
    /// When it was made.
    pub made_at: SystemTime,
    /// When it ends.
    pub ends_at: SystemTime,
}

impl Facts {
    /// Reads them. Signatures and times are checked by TLS, not here.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, CertificateError> {
        let parsed = x509_parser::parse_x509_certificate(certificate);
        let (_, parsed) = parsed.map_err(|_| CertificateError("cannot be read"))?;
        let validity = parsed.validity();
        let time = |seconds: i64| u64::try_from(seconds).ok().map(|s| UNIX_EPOCH + Duration::from_secs(s));
        let (Some(begins_at), Some(ends_at)) =
            (time(validity.not_before.timestamp()), time(validity.not_after.timestamp()))
        else {
            return Err(CertificateError("is from before 1970"));
        };
        Ok(Self {
            host: host(&parsed),
            key: parsed.public_key().raw.to_vec(),
            made_at: begins_at + BACKDATED,
            ends_at,
        })
    }

    /// When a new one should be asked for: after two thirds of its life.
    pub fn renew_at(&self) -> SystemTime {
        let life = self.ends_at.duration_since(self.made_at).unwrap_or_default();
        self.made_at + life * 2 / 3
    }
}

/// The SHA-256 digest of something.
pub(crate) fn sha256(of: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, of).as_ref());
    bytes
}

fn host(certificate: &X509Certificate<'_>) -> Option<HostName> {
    let names = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    })?;
    names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix(AGENT_SCHEME)?.parse().ok(),
        _ => None,
    })
}
