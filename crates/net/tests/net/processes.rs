use std::fs;
use std::process::{Command, Stdio};

use anyhow::Result;
use karez_net::{Error, SpawnOptions};

use crate::scratch::{Running, Scratch};

#[tokio::test]
async fn a_program_runs_inside_and_sees_what_is_bound_for_it_alone() -> Result<()> {
    let scratch = Scratch::new("bind").await?;
    let (source, target) = (tempfile::tempdir()?, tempfile::tempdir()?);
    fs::write(source.path().join("file"), "bound")?;
    let mut cat = Command::new("cat");
    cat.arg(target.path().join("file")).stdout(Stdio::piped());
    let options = SpawnOptions::new().bind(source.path(), target.path());
    let output = scratch.namespace.spawn(&mut cat, &options)?.wait_with_output()?;
    assert_eq!(String::from_utf8(output.stdout)?, "bound");
    assert!(!target.path().join("file").exists(), "nobody else sees it");
    let mut readlink = Command::new("readlink");
    let inside = scratch.output(readlink.arg("/proc/self/ns/net"))?;
    assert_ne!(inside.trim(), fs::read_link("/proc/self/ns/net")?.to_string_lossy());
    Ok(())
}

#[tokio::test]
async fn a_program_with_mounts_of_its_own_does_not_keep_a_deleted_namespace_in_place() -> Result<()> {
    let (home, other) = (Scratch::new("home").await?, Scratch::new("other").await?);
    let (source, target) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut sleep = Command::new("sleep");
    let options = SpawnOptions::new().bind(source.path(), target.path());
    let sleep = Running(home.namespace.spawn(sleep.arg("60"), &options)?);
    let mounts = || fs::read_to_string(format!("/proc/{}/mountinfo", sleep.0.id()));
    assert!(mounts()?.contains(other.namespace.name()), "it was there when the program started");
    karez_net::Namespace::delete(other.namespace.name())?;
    assert!(!mounts()?.contains(other.namespace.name()));
    Ok(())
}

#[tokio::test]
async fn a_program_gets_a_process_group_of_its_own_on_request() -> Result<()> {
    let scratch = Scratch::new("group").await?;
    let sleep = |options: SpawnOptions| -> Result<(u32, i32)> {
        let running = Running(scratch.namespace.spawn(Command::new("sleep").arg("60"), &options)?);
        let pid = i32::try_from(running.0.id())?;
        Ok((running.0.id(), nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(pid)))?.as_raw()))
    };
    let (pid, group) = sleep(SpawnOptions::new().own_process_group())?;
    assert_eq!(i64::from(group), i64::from(pid));
    let (_, group) = sleep(SpawnOptions::new())?;
    assert_eq!(group, nix::unistd::getpgrp().as_raw());
    Ok(())
}

#[tokio::test]
async fn a_task_waits_for_a_program_inside() -> Result<()> {
    let scratch = Scratch::new("async").await?;
    let mut readlink = tokio::process::Command::new("readlink");
    readlink.arg("/proc/self/ns/net").stdout(Stdio::piped());
    let child = scratch.namespace.spawn_async(&mut readlink, &SpawnOptions::new().own_process_group())?;
    let output = child.wait_with_output().await?;
    let inside = scratch.namespace.run(|| fs::read_link("/proc/thread-self/ns/net"))??;
    assert_eq!(String::from_utf8(output.stdout)?.trim(), inside.to_string_lossy());
    Ok(())
}

#[tokio::test]
async fn a_program_that_a_task_waits_for_gets_a_process_group_of_its_own_too() -> Result<()> {
    let scratch = Scratch::new("async-group").await?;
    let mut sleep = tokio::process::Command::new("sleep");
    sleep.arg("60").kill_on_drop(true);
    let mut child = scratch.namespace.spawn_async(&mut sleep, &SpawnOptions::new().own_process_group())?;
    let pid = i32::try_from(child.id().expect("it runs"))?;
    assert_eq!(nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(pid)))?.as_raw(), pid);
    child.kill().await?;
    Ok(())
}

#[tokio::test]
async fn what_could_not_be_started_is_named() -> Result<()> {
    let scratch = Scratch::new("missing").await?;
    let missing = scratch.namespace.spawn(&mut Command::new("/no/such/program"), &SpawnOptions::new());
    let Err(error @ Error::System { .. }) = missing else { panic!("{missing:?}") };
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    assert!(error.to_string().contains(scratch.namespace.name()), "{error}");
    let options = SpawnOptions::new().bind("/no/such/source", "/tmp");
    let error = scratch.namespace.spawn(&mut Command::new("true"), &options).expect_err("no source");
    assert!(error.to_string().contains("/no/such/source"), "{error}");
    Ok(())
}
