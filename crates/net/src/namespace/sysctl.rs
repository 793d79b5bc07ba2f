//! Settings under `/proc/sys/net`, which shows those of the namespace of the thread that looks.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::Namespace;
use crate::Error;

impl Namespace {
    /// Reads a setting. The path is written with slashes, `net/ipv4/conf/eth0.5/rp_filter`, as link names may hold dots.
    ///
    /// # Errors
    ///
    /// [`Error::SysctlPath`] for a path that leads elsewhere, [`Error::System`] for one that does not exist.
    pub fn sysctl(&self, path: &str) -> Result<String, Error> {
        let file = file(path)?;
        let text = self.run(|| fs::read_to_string(file))?;
        let text = text.map_err(|source| Error::system(self, format!("read the setting {path}"), source))?;
        Ok(text.trim_end().to_owned())
    }

    /// Writes a setting unless it has that value; returns whether it had to.
    ///
    /// # Errors
    ///
    /// As [`Namespace::sysctl`], and [`Error::Denied`].
    pub fn set_sysctl(&self, path: &str, value: &str) -> Result<bool, Error> {
        let file = file(path)?;
        let changed = self.run(|| {
            let different = fs::read_to_string(&file)?.trim_end() != value;
            if different {
                fs::write(&file, value)?;
            }
            Ok::<_, std::io::Error>(different)
        })?;
        changed.map_err(|source| Error::system(self, format!("set {path} to {value}"), source))
    }
}

fn file(path: &str) -> Result<PathBuf, Error> {
    let relative = Path::new(path);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || !path.starts_with("net/") {
        return Err(Error::SysctlPath { path: path.to_owned() });
    }
    Ok(Path::new("/proc/sys").join(relative))
}
