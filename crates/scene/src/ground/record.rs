//! What a scene consists of, written down before it is needed: one fact a line.

use super::place::home;
use crate::Error;
use crate::process::{self, Identity};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A scene that was left behind, on purpose or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Its directory.
    pub directory: PathBuf,
    pub(super) processes: Vec<Identity>,
    /// Namespaces that others made for it.
    pub(super) namespaces: Vec<String>,
}

/// The record that is being written.
#[derive(Debug)]
pub(super) struct Record(File);

impl Record {
    pub(super) fn create(name: &str, directory: &Path) -> Result<Self, Error> {
        let record = Self(process::append(&file(name))?);
        record.write(&format!("directory {}", directory.display()))?;
        Ok(record)
    }

    pub(super) fn process(&self, process: Identity, what: &str) -> Result<(), Error> {
        self.write(&format!("process {} {} {what}", process.pid, process.started))
    }

    pub(super) fn namespace(&self, name: &str) -> Result<(), Error> {
        self.write(&format!("namespace {name}"))
    }

    /// One write, so that a line is there whole or not at all.
    fn write(&self, line: &str) -> Result<(), Error> {
        (&self.0)
            .write_all(format!("{line}\n").as_bytes())
            .map_err(Error::io("write the record of the scene"))
    }
}

/// The record of a scene that is there; a line that cannot be understood is passed over.
pub(super) fn read(name: &str) -> Result<Option<Kept>, Error> {
    let file = file(name);
    match fs::read_to_string(&file) {
        Ok(text) => Ok(Some(parse(&text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", &file)(error)),
    }
}

fn parse(text: &str) -> Kept {
    let mut kept = Kept::default();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("directory", path)) => kept.directory = PathBuf::from(path),
            Some(("process", fields)) => kept.processes.extend(identity(fields)),
            Some(("namespace", name)) => kept.namespaces.push(name.to_owned()),
            _ => {}
        }
    }
    kept
}

fn identity(fields: &str) -> Option<Identity> {
    let mut fields = fields.split(' ');
    Some(Identity { pid: fields.next()?.parse().ok()?, started: fields.next()?.parse().ok()? })
}

fn file(name: &str) -> PathBuf {
    home(name).join("record")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_before_the_process_was_killed_is_read_back() {
        let kept = parse("directory /run/a b\nprocess 12 34 cloud1\nnamespace karez-1\nprocess 5");
        let processes = vec![Identity { pid: 12, started: 34 }];
        let namespaces = vec!["karez-1".to_owned()];
        assert_eq!(kept, Kept { directory: "/run/a b".into(), processes, namespaces });
    }
}
