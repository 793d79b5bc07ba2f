//! Tokens, ids and generated secrets: random, opaque, and known to us only by their hash.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use karez_model::Secret;

/// The SHA-256 of a token: what is stored, cached and compared instead of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token.
    pub(crate) fn of(token: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(hash)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// How long our own tokens and generated secrets are, in characters.
pub(crate) const LENGTH: usize = 43;

/// 256 random bits in URL-safe characters; none when the machine gives no randomness. The first is no dash: commands that
/// are given the secret as an argument would take it for an option.
pub(crate) fn generate() -> Option<Secret> {
    let mut bytes = [0; 32];
    loop {
        rand::fill(&mut bytes).ok()?;
        let secret = Secret::new(url_safe(&bytes));
        if !secret.expose().starts_with('-') {
            return Some(secret);
        }
    }
}

/// An audit id: 128 random bits in URL-safe characters.
pub(crate) fn audit_id() -> String {
    url_safe(uuid::Uuid::new_v4().as_bytes())
}

/// An id as Keystone makes them: a random UUID without dashes.
pub(crate) fn object_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// Base64 for URLs without padding, RFC 4648 section 5.
fn url_safe(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for at in 0..=group.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * at)) as usize & 63]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_safe_text_is_that_of_the_rfc() {
        let cases =
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE")];
        for (bytes, text) in cases {
            assert_eq!(url_safe(bytes.as_bytes()), text);
        }
        assert_eq!(url_safe(&[0xfb, 0xff, 0xfe]), "-__-");
    }

    #[test]
    fn generated_secrets_differ_and_have_the_known_length() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_eq!(one.expose().len(), LENGTH);
        assert!(one != other);
    }

    #[test]
    fn no_generated_secret_looks_like_an_option() {
        for _ in 0..2000 {
            assert!(!generate().unwrap().expose().starts_with('-'));
        }
    }
}
