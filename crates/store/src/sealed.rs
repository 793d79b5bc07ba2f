//! Secrets of the deployment itself, each under a name.

use crate::{Datum, Error, Tx};
use karez_model::Secret;

impl Tx<'_> {
    /// The secret of this name.
    ///
    /// # Errors
    /// [`Error::Sealed`] when it cannot be opened with the keys at hand.
    pub fn sealed_value(&mut self, name: &str) -> Result<Option<Secret>, Error> {
        let sql = "SELECT value FROM sealed_values WHERE name = $1";
        let Some(row) = self.query_opt(sql, &[Datum::from(name)])? else { return Ok(None) };
        self.shared.keyring.open_sealed(row.blob(0)?, &place(name)).map(Some)
    }

    /// Keeps a secret under a name, unless there is one, and returns the one that there is then.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn seal_value(&mut self, name: &str, secret: &Secret) -> Result<Secret, Error> {
        let sealed = self.shared.keyring.seal(secret, &place(name))?;
        let sql = "INSERT INTO sealed_values (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        self.execute(sql, &[Datum::from(name), Datum::from(sealed)])?;
        let kept = self.sealed_value(name)?;
        kept.ok_or_else(|| Error::Bug(format!("the sealed value {name} is not there after it was kept")))
    }

    /// Seals all of them again whose key is not the newest; returns how many.
    ///
    /// # Errors
    /// [`Error::Sealed`] when one of them cannot be opened.
    pub fn reseal_values(&mut self) -> Result<u64, Error> {
        let mut resealed = 0;
        for row in self.query_for_update("SELECT name, value FROM sealed_values ORDER BY name", &[])? {
            let (name, sealed) = (row.text(0)?, row.blob(1)?);
            if self.shared.keyring.is_outdated(sealed) {
                let secret = self.shared.keyring.open_sealed(sealed, &place(name))?;
                let sealed = self.shared.keyring.seal(&secret, &place(name))?;
                let sql = "UPDATE sealed_values SET value = $1 WHERE name = $2";
                self.execute(sql, &[Datum::from(sealed), Datum::from(name)])?;
                resealed += 1;
            }
        }
        Ok(resealed)
    }
}

/// The associated data of a sealed value.
fn place(name: &str) -> String {
    format!("sealed_values.value:{name}")
}
