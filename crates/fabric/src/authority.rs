//! The deployment's own certificate authority. It certifies servers and agents of Karez, and its
//! certificate is what both trust, and nothing else.

use crate::certificate::{AGENT_SCHEME, BACKDATED, Facts, SERVER_NAME};
use crate::{Fingerprint, HostName, edge};
use karez_model::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SanType, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};
use thiserror::Error;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// The authority itself: twenty years.
const LIFETIME: Duration = Duration::from_secs(20 * 365 * 24 * 3600);

/// How long certificates are good.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Those of agents, which renew them after two thirds of it.
    pub agent: Duration,
    /// Those of servers, which make themselves new ones after a third of it.
    pub server: Duration,
}

impl Default for Lifetimes {
    /// A day for agents, thirty days for servers.
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self { agent: DAY, server: 30 * DAY }
    }
}

/// What went wrong with the authority or with what it was asked for.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// What was stored is no authority.
    #[error("the fabric's certificate authority is not intact: {0}")]
    Stored(&'static str),
    /// A request for a certificate is not as it must be: the agent's fault.
    #[error("the certificate request {0}")]
    Request(&'static str),
    /// A name that no certificate can have: the operator's fault.
    #[error("'{0}' is no name for a server's certificate")]
    Name(String),
    /// The library could not do it.
    #[error("a certificate could not be made: {0}")]
    Library(#[from] rcgen::Error),
}

/// A certificate authority. It has no `Debug`: a key is in it.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A server's certificate chain and its key. It has no `Debug`.
pub(crate) struct ServerCertificate {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: Zeroizing<Vec<u8>>,
}

impl Authority {
    /// Makes a new one. A deployment does so once.
    ///
    /// # Errors
    /// Those of the library.
    pub fn generate(now: SystemTime) -> Result<Self, AuthorityError> {
        let key = new_key()?;
        let mut params = params("Karez fabric", now, LIFETIME);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// Certificate and private key. It is for sealing and for nothing else.
    #[must_use]
    pub fn to_pem(&self) -> Secret {
        let key = Zeroizing::new(self.issuer.key().serialize_pem());
        Secret::new(format!("{}{}", self.certificate_pem(), *key))
    }

    /// Takes what [`Self::to_pem`] has given.
    ///
    /// # Errors
    /// It is something else, or key and certificate do not belong together.
    pub fn from_pem(pem: &Secret) -> Result<Self, AuthorityError> {
        let bytes = pem.expose().as_bytes();
        let certificate = CertificateDer::from_pem_slice(bytes)
            .map_err(|_| AuthorityError::Stored("there is no certificate in it"))?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(bytes)
            .ok()
            .and_then(|key| KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256).ok())
            .ok_or(AuthorityError::Stored("there is no P-256 key in it"))?;
        let facts = Facts::read(&certificate)
            .map_err(|_| AuthorityError::Stored("its certificate cannot be read"))?;
        if facts.key != key.subject_public_key_info() {
            return Err(AuthorityError::Stored("its key is not that of its certificate"));
        }
        Ok(Self { issuer: Issuer::from_ca_cert_der(&certificate, key)?, certificate })
    }

    /// The certificate alone, which is public.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// By which agents know the authority before they have its certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A certificate for an agent. Of the request (PKCS #10, DER) only the key counts, which must be
    /// one for P-256, and whose holder must have signed it.
    pub(crate) fn certify_agent(
        &self,
        request: &[u8],
        host: &HostName,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let key = requested_key(request)?;
        let mut params = params("Karez agent", now, lifetime);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let uri = format!("{AGENT_SCHEME}{host}");
        params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        Ok(params.signed_by(&key, &self.issuer)?.into())
    }

    /// A certificate with a new key for a server: for the name that agents look for, and for `names`
    /// (host names and addresses), which whoever looks into it may want to see.
    pub(crate) fn certify_server(
        &self,
        names: &[String],
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<ServerCertificate, AuthorityError> {
        let key = new_key()?;
        let mut params = params("Karez server", now, lifetime);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = vec![SanType::DnsName(SERVER_NAME.try_into()?)];
        for name in names {
            params.subject_alt_names.push(server_name(name)?);
        }
        let certificate = params.signed_by(&key, &self.issuer)?.into();
        let chain = vec![certificate, self.certificate.clone()];
        Ok(ServerCertificate { chain, key: Zeroizing::new(key.serialize_der()) })
    }
}

/// The public key of a request (SubjectPublicKeyInfo, DER), once the request's signature is good.
pub(crate) fn key_of_request(request: &[u8]) -> Result<Vec<u8>, AuthorityError> {
    Ok(requested_key(request)?.subject_public_key_info())
}

/// A new key of the sort that all certificates of the fabric are for.
pub(crate) fn new_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

/// PEM (RFC 7468) of something public.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let body = BASE64_STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

fn requested_key(request: &[u8]) -> Result<rcgen::PublicKey, AuthorityError> {
    let parsed = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request));
    let key = parsed.map_err(|_| AuthorityError::Request("cannot be read or is not signed by its key"))?;
    if *key.public_key.algorithm() == PKCS_ECDSA_P256_SHA256 {
        Ok(key.public_key)
    } else {
        Err(AuthorityError::Request("is not for an ECDSA key on P-256"))
    }
}

fn params(name: &str, now: SystemTime, lifetime: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = OffsetDateTime::from(now - BACKDATED);
    params.not_after = OffsetDateTime::from(now + lifetime);
    params.use_authority_key_identifier_extension = true;
    // Positive and unique (RFC 5280, section 4.1.2.2).
    let mut serial: [u8; 16] = edge::random_bytes();
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params
}

fn server_name(name: &str) -> Result<SanType, AuthorityError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let is_name = rustls::pki_types::DnsName::try_from(name).is_ok();
    let wrong = || AuthorityError::Name(name.to_owned());
    if is_name { Ok(SanType::DnsName(name.try_into().map_err(|_| wrong())?)) } else { Err(wrong()) }
}
