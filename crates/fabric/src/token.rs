//! One-time tokens, by which a node is let in that has no certificate yet.

use crate::certificate::sha256;
use crate::{Fingerprint, edge};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use karez_model::Secret;
use thiserror::Error;
use uuid::Uuid;
use zeroize::Zeroizing;

/// What a token begins with: scanners for leaked secrets know it by this.
const PREFIX: &str = "karez1";

/// A token: `karez1.<id>.<secret>.<fingerprint>`.
///
/// - the id, 32 hexadecimal digits, is what the control plane finds it by, and may be shown;
/// - the secret, 32 random bytes in base64url, is known to whoever carries the token; the control
///   plane keeps its [`Self::digest`] alone;
/// - the fingerprint, in base64url, is that of the authority's certificate: by it an agent knows the
///   server at first contact, so that nobody can come between them even then.
///
/// It has no `Debug` and no `Display`.
pub struct Token {
    pub(crate) id: Uuid,
    pub(crate) secret: Zeroizing<[u8; 32]>,
    pub(crate) authority: Fingerprint,
}

/// A text that is no token.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("this is not a whole enrolment token; it looks like {PREFIX}.<id>.<secret>.<fingerprint>")]
pub struct NoToken;

impl Token {
    /// Makes a new one.
    #[must_use]
    pub fn mint(authority: Fingerprint) -> Self {
        Self { id: Uuid::new_v4(), secret: Zeroizing::new(edge::random_bytes()), authority }
    }

    /// Reads a token; white space around it is no matter.
    ///
    /// # Errors
    /// The text is none. The error does not repeat it.
    pub fn parse(text: &Secret) -> Result<Self, NoToken> {
        let mut parts = text.expose().trim().split('.');
        let (Some(PREFIX), Some(id), Some(secret), Some(authority), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoToken);
        };
        let id = Uuid::try_parse(id).map_err(|_| NoToken)?;
        Ok(Self { id, secret: Zeroizing::new(decode(secret)?), authority: Fingerprint(decode(authority)?) })
    }

    /// The text that is handed to the operator, once.
    #[must_use]
    pub fn to_text(&self) -> Secret {
        let secret = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(*self.secret));
        let authority = BASE64_URL_SAFE_NO_PAD.encode(self.authority.0);
        Secret::new(format!("{PREFIX}.{}.{}.{authority}", self.id.simple(), *secret))
    }

    /// What the control plane finds it by.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The SHA-256 digest of the secret: what the control plane keeps. The secret is random and
    /// long, so nothing slower is needed.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        sha256(&*self.secret)
    }
}

fn decode(text: &str) -> Result<[u8; 32], NoToken> {
    let bytes = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| NoToken)?);
    bytes.as_slice().try_into().map_err(|_| NoToken)
}

#[cfg(test)]
mod tests {
    use super::{NoToken, Token};
    use crate::Fingerprint;
    use karez_model::Secret;

    #[test]
    fn a_token_reads_back() {
        let token = Token::mint(Fingerprint([7; 32]));
        let Ok(again) = Token::parse(&token.to_text()) else { panic!("it does not read back") };
        assert_eq!((again.id(), again.digest()), (token.id(), token.digest()));
        assert_eq!(again.authority, token.authority);
    }

    #[test]
    fn a_token_that_was_cut_or_changed_in_form_is_none() {
        let text = Token::mint(Fingerprint([7; 32])).to_text();
        let text = text.expose();
        for wrong in [&text[1..], &text[..text.len() - 1], &text[..60], "", "a.b.c.d", &format!("{text}.x")] {
            let parsed = Token::parse(&Secret::new(wrong.to_owned()));
            assert_eq!(parsed.err(), Some(NoToken));
        }
    }
}
