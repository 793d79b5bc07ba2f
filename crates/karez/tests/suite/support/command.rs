//! The `karez` command, run to its end.

use karez_testing::wait;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; nothing when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `karez` with these arguments and fails when it does not end by itself.
pub fn karez<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> anyhow::Result<Finished> {
    finish(Command::new(env!("CARGO_BIN_EXE_karez")).args(arguments))
}

/// Runs `karez db check` on a server's database.
pub fn check(configuration: &Path) -> anyhow::Result<Finished> {
    karez(&["db".as_ref(), "check".as_ref(), "--config".as_ref(), configuration.as_os_str()])
}

/// Runs a command and fails when it does not end by itself.
pub fn finish(command: &mut Command) -> anyhow::Result<Finished> {
    let folder = tempfile::tempdir()?;
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    command.stdin(Stdio::null()).stdout(fs::File::create(&out)?).stderr(fs::File::create(&err)?);
    let mut process = command.spawn()?;
    let ended = wait::until("the end of a command", Duration::from_secs(30), || Ok(process.try_wait()?));
    if ended.is_err() {
        // It may end just now; what matters is that it is gone.
        let _ = process.kill();
        let _ = process.wait();
    }
    Ok(Finished { code: ended?.code(), stdout: fs::read_to_string(out)?, stderr: fs::read_to_string(err)? })
}
