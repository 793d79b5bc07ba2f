//! Names of nodes.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The name of a node, as it stands in its certificate: 1 to 253 of `a-z A-Z 0-9 . - _`, the first
/// of them a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

/// A name that no node may have.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "a node's name has 1 to 253 letters, digits, dots, hyphens and underscores, and begins with a letter or digit"
)]
pub struct NoHostName;

impl HostName {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = NoHostName;

    fn from_str(text: &str) -> Result<Self, NoHostName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let begins_well = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if begins_well && text.len() <= 253 && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoHostName)
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
