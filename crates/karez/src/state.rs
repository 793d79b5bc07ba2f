//! The state directory of `karez up`.

use crate::config::Config;
use anyhow::{Context, Result, bail};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

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

    /// The password that an earlier start wrote into the openrc.
    pub(crate) fn earlier_password(&self) -> Option<String> {
        let text = fs::read_to_string(self.0.join("openrc")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("export OS_PASSWORD="))?;
        Some(line.trim_matches('\'').to_owned())
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
