//! The state directory of `karez up`.

use crate::config::Config;
use anyhow::{Context, Result, bail};
use karez_identity::embedded::random_password;
use karez_model::Secret;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where the first administrator's password waits for its openrc.
const PENDING: &str = "first-password";

/// A state directory that is there.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// The directory, made when it is not there. Only its owner may look into it.
    pub(crate) fn made(chosen: Option<PathBuf>) -> Result<Self> {
        let path = chosen.map_or_else(usual, Ok)?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("the state directory {} cannot be made", path.display()))?;
        let path = path.canonicalize().with_context(|| format!("state directory {}", path.display()))?;
        Ok(Self(path))
    }

    /// The directory of an installation that has been started before.
    pub(crate) fn existing(chosen: Option<PathBuf>) -> Result<Self> {
        let path = chosen.map_or_else(usual, Ok)?;
        if !path.join("karez.db").exists() {
            bail!(
                "{} holds no karez.db: name the state directory of `karez up`, or --config",
                path.display()
            );
        }
        Ok(Self(path.canonicalize()?))
    }

    pub(crate) fn config(&self) -> Config {
        Config::in_directory(&self.0)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file that only its owner may read, whole or not at all.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.0.join(name);
        let beside = self.0.join(format!("{name}.new"));
        let save = || -> std::io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        };
        save().with_context(|| format!("{} cannot be written", path.display()))
    }

    /// The password for an administrator who is to be made. It is kept until the openrc has it: a
    /// start that is cut short in between does not lose the only way in.
    pub(crate) fn pending_password(&self) -> Result<Secret> {
        if let Ok(text) = fs::read_to_string(self.0.join(PENDING)) {
            return Ok(Secret::new(text.trim().to_owned()));
        }
        let password = random_password().context("the system has no randomness for a password")?;
        self.write(PENDING, password.expose())?;
        Ok(password)
    }

    /// Whether an earlier start was cut short while it made the administrator.
    pub(crate) fn has_pending_password(&self) -> bool {
        self.0.join(PENDING).exists()
    }

    /// The openrc has the password now.
    pub(crate) fn forget_pending_password(&self) -> Result<()> {
        match fs::remove_file(self.0.join(PENDING)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Keeps other servers away from this directory for as long as the file is open.
    pub(crate) fn lock(&self) -> Result<fs::File> {
        let file = lock(&self.0.join("karez.lock"))?;
        file.with_context(|| {
            format!("another karez runs in {}: stop it, or name another --state-dir", self.0.display())
        })
    }

    /// Puts a new password into the client files that are there, and in the place of one that still
    /// waits for them.
    pub(crate) fn replace_password(&self, password: &Secret) -> Result<()> {
        if self.has_pending_password() {
            self.write(PENDING, password.expose())?;
        }
        let Some(old) = self.earlier_password() else { return Ok(()) };
        for name in ["openrc", "clouds.yaml"] {
            if let Ok(text) = fs::read_to_string(self.0.join(name)) {
                self.write(name, &text.replace(&old, password.expose()))?;
            }
        }
        Ok(())
    }

    /// The password that an earlier start wrote into the openrc.
    pub(crate) fn earlier_password(&self) -> Option<String> {
        let text = fs::read_to_string(self.0.join("openrc")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("export OS_PASSWORD="))?;
        Some(line.trim_matches('\'').to_owned())
    }
}

/// Takes this file, made when it is not there, for as long as it is open; none when another process has it. Whoever has
/// it may remove it: who opened it before that and locks it after that has a file that nobody else will find, and looks
/// again.
pub(crate) fn lock(path: &Path) -> Result<Option<fs::File>> {
    let failed = || format!("{} cannot be locked", path.display());
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    loop {
        let file = options.open(path).with_context(failed)?;
        match file.try_lock() {
            Ok(()) if is_at(&file, path).with_context(failed)? => return Ok(Some(file)),
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => return Err(error).with_context(failed),
        }
    }
}

fn is_at(file: &fs::File, path: &Path) -> std::io::Result<bool> {
    let own = file.metadata()?;
    match fs::metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (own.dev(), own.ino())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// `/var/lib/karez` for root, otherwise `karez` in the user's data directory.
fn usual() -> Result<PathBuf> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if is_root {
        return Ok(PathBuf::from("/var/lib/karez"));
    }
    if let Some(data) = std::env::var_os("XDG_DATA_HOME").filter(|data| !data.is_empty()) {
        return Ok(PathBuf::from(data).join("karez"));
    }
    match std::env::var_os("HOME").filter(|home| !home.is_empty()) {
        Some(home) => Ok(PathBuf::from(home).join(".local/share/karez")),
        None => bail!("neither XDG_DATA_HOME nor HOME is set: name a --state-dir"),
    }
}
