//! What a scene leaves: nothing, whichever way it ends.

use anyhow::{Context, Result, ensure};
use karez_net::Namespace;
use karez_scene::{Error, Ground, Internet, wait};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

fn namespaces_of(name: &str) -> Result<Vec<String>> {
    let prefix = format!("kz-{name}-");
    Ok(Namespace::list()?.into_iter().filter(|namespace| namespace.starts_with(&prefix)).collect())
}

/// A scene with a process in it.
fn small_scene(ground: &Ground) -> Result<()> {
    let internet = Internet::build(ground)?;
    let host = internet.segment().host("host", &["200.200.128.10".parse()?])?;
    let mut pinger = host.keep_pinging(host.addresses()[0], Duration::from_millis(10))?;
    pinger.flows(1, Duration::from_secs(10))?;
    Ok(())
}

#[test]
fn a_scene_that_ends_leaves_neither_namespace_nor_file() -> Result<()> {
    let ground = Ground::claim("ends")?;
    let directory = ground.directory().to_owned();
    small_scene(&ground)?;
    assert_eq!(namespaces_of("ends")?, ["kz-ends-host", "kz-ends-internet"]);
    ground.succeeded();
    drop(ground);
    assert!(namespaces_of("ends")?.is_empty());
    assert!(!directory.exists());
    assert!(
        !Path::new("/run/karez-scene/ends").exists() && !Path::new("/run/karez-scene/ends.lock").exists()
    );
    Ok(())
}

#[test]
fn a_scene_that_panics_leaves_nothing() -> Result<()> {
    let panicked = std::panic::catch_unwind(|| {
        let ground = Ground::claim("panics").expect("ground");
        small_scene(&ground).expect("a scene");
        ground.succeeded();
        panic!("on purpose");
    });
    assert!(panicked.is_err());
    assert!(namespaces_of("panics")?.is_empty());
    Ok(())
}

#[test]
fn a_name_is_one_process_s_at_a_time() -> Result<()> {
    let ground = Ground::claim("claimed")?;
    let other = Ground::claim("claimed");
    assert!(matches!(other, Err(Error::Taken { .. })), "{other:?}");
    ground.succeeded();
    drop(ground);
    let again = Ground::claim("claimed")?;
    again.succeeded();
    Ok(())
}

#[test]
fn names_that_could_be_taken_for_others_are_refused() {
    for name in ["", "a-b", "../x", "Upper", "averyveryverylongname"] {
        assert!(matches!(Ground::claim(name), Err(Error::Unexpected(_))), "{name}");
    }
}

#[test]
fn the_files_of_others_are_not_touched() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("karez-scene-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("thesis"), "seven years of work")?;
    let refused = Ground::claim_in("foreign", Some(&folder));
    assert!(matches!(refused, Err(Error::Machine(_))), "{refused:?}");
    assert!(folder.join("thesis").exists());
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

#[test]
fn a_scene_that_is_kept_stays_until_it_is_cleared() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("karez-kept-{}", std::process::id()));
    {
        let ground = Ground::claim_in("kept", Some(&folder))?;
        small_scene(&ground)?;
        ground.keep();
    }
    assert_eq!(namespaces_of("kept")?.len(), 2);
    let kept = Ground::clear("kept")?.context("it was kept")?;
    assert_eq!(kept.directory, folder.canonicalize().unwrap_or(folder.clone()));
    assert!(namespaces_of("kept")?.is_empty() && !folder.exists());
    assert_eq!(Ground::clear("kept")?, None);
    Ok(())
}

/// Not a test by itself: the part of the next one that is killed.
#[test]
fn a_scene_to_be_killed() -> Result<()> {
    if std::env::var_os("KAREZ_SCENE_TO_BE_KILLED").is_none() {
        return Ok(());
    }
    let ground = Ground::claim("killed")?;
    let internet = Internet::build(&ground)?;
    let host = internet.segment().host("host", &["200.200.128.10".parse()?])?;
    let _pinger = host.keep_pinging(host.addresses()[0], Duration::from_millis(10))?;
    std::fs::write(ground.directory().join("stands"), "")?;
    wait::pause(Duration::from_secs(60))?;
    Ok(())
}

#[test]
fn what_a_killed_scene_has_left_the_next_one_removes() -> Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "leftovers::a_scene_to_be_killed"])
        .env("KAREZ_SCENE_TO_BE_KILLED", "1")
        .stdout(Stdio::null())
        .spawn()?;
    let stands = PathBuf::from("/run/karez-scene/killed/files/stands");
    let came_about = wait::until("the scene to be killed", Duration::from_secs(30), || {
        Ok(stands.exists().then_some(()).ok_or_else(String::new))
    });
    child.kill()?;
    child.wait()?;
    came_about?;
    let inside = || processes_in("kz-killed-host");
    assert_eq!(inside()?.len(), 1);

    let pids = inside()?;
    let ground = Ground::claim("killed")?;
    assert!(namespaces_of("killed")?.is_empty());
    for pid in pids {
        ensure!(!Path::new(&format!("/proc/{pid}/ns/net")).exists(), "process {pid} is still there");
    }
    assert!(!stands.exists());
    ground.succeeded();
    Ok(())
}

fn processes_in(namespace: &str) -> Result<Vec<u32>> {
    let output = Command::new("ip").args(["netns", "pids", namespace]).output()?;
    Ok(String::from_utf8(output.stdout)?.lines().filter_map(|pid| pid.trim().parse().ok()).collect())
}
