//! Pre-shared keys and the like: held so that they cannot be printed by accident.

use zeroize::Zeroizing;

/// A secret text. It has no `Debug`, `Display` or `Serialize`, and its memory is wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of the secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret itself. Name the reason where you call this: sealing, a response to its owner,
    /// the plan of an agent. Never a log line and never an error.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}
