use std::fs;
use std::process::Command;

use anyhow::Result;
use karez_net::{Error, Namespace, SpawnOptions};

use crate::scratch::{Running, Scratch, unused_name};

#[test]
fn a_namespace_is_made_once_found_by_name_and_gone_after_deletion() -> Result<()> {
    let name = unused_name("life");
    assert!(!Namespace::exists(&name)?);
    assert!(matches!(Namespace::open(&name), Err(Error::NoNamespace { .. })));
    let made = Namespace::create(&name)?;
    let again = Namespace::create(&name)?;
    let identity = |namespace: &Namespace| namespace.run(|| fs::read_link("/proc/thread-self/ns/net"));
    assert_eq!(identity(&made)??, identity(&again)??);
    assert_eq!(identity(&made)??, identity(&Namespace::open(&name)?)??);
    assert_ne!(identity(&made)??, fs::read_link("/proc/thread-self/ns/net")?, "the caller stays where it is");
    assert!(Namespace::list()?.contains(&name));
    assert!(Namespace::delete(&name)?);
    assert!(!Namespace::delete(&name)?);
    assert!(!Namespace::exists(&name)?);
    assert!(!Namespace::list()?.contains(&name));
    assert!(!fs::exists(format!("/run/netns/{name}"))?);
    Ok(())
}

#[test]
fn a_file_that_a_process_left_without_a_namespace_on_it_is_not_one_and_is_used_again() -> Result<()> {
    let name = unused_name("stale");
    Namespace::create(&name)?;
    Namespace::delete(&name)?;
    fs::write(format!("/run/netns/{name}"), "")?;
    assert!(!Namespace::exists(&name)?);
    Namespace::create(&name)?;
    assert!(Namespace::exists(&name)?);
    assert!(Namespace::delete(&name)?);
    Ok(())
}

#[tokio::test]
async fn a_namespace_is_deleted_with_a_process_inside() -> Result<()> {
    let scratch = Scratch::new("busy").await?;
    let mut sleep = Command::new("sleep");
    let _sleep = Running(scratch.namespace.spawn(sleep.arg("60"), &SpawnOptions::new())?);
    assert!(Namespace::delete(scratch.namespace.name())?);
    assert!(!Namespace::exists(scratch.namespace.name())?);
    // It has no name any more; a new one of the same name is another one.
    let identity = |namespace: &Namespace| namespace.run(|| fs::read_link("/proc/thread-self/ns/net"));
    let new = Namespace::create(scratch.namespace.name())?;
    assert_ne!(identity(&scratch.namespace)??, identity(&new)??);
    Ok(())
}

#[test]
fn many_may_make_the_same_namespace_at_the_same_time() -> Result<()> {
    let name = unused_name("race");
    let identities: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| -> Result<_> {
                    Ok(Namespace::create(&name)?.run(|| fs::read_link("/proc/thread-self/ns/net"))??)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Result<_>>()
    })?;
    Namespace::delete(&name)?;
    assert!(identities.iter().all(|identity| *identity == identities[0]), "{identities:?}");
    Ok(())
}

#[test]
fn a_name_cannot_lead_out_of_the_directory() {
    for name in ["", ".", "..", "../x", "a/b", "a\0b"] {
        assert!(matches!(Namespace::create(name), Err(Error::NamespaceName { .. })), "{name:?}");
        assert!(matches!(Namespace::delete(name), Err(Error::NamespaceName { .. })), "{name:?}");
    }
}

#[tokio::test]
async fn work_inside_may_block_or_not_and_its_panic_reaches_the_caller() -> Result<()> {
    let scratch = Scratch::new("work").await?;
    let inside = scratch.namespace.run(|| fs::read_link("/proc/thread-self/ns/net"))??;
    let also_inside = scratch.namespace.run_async(|| fs::read_link("/proc/thread-self/ns/net")).await??;
    assert_eq!(inside, also_inside);
    let namespace = scratch.namespace.clone();
    let task = tokio::spawn(async move { namespace.run_async(|| panic!("inside")).await });
    assert!(task.await.expect_err("the panic").is_panic());
    Ok(())
}

#[tokio::test]
async fn settings_are_those_of_the_namespace() -> Result<()> {
    let (one, other) = (Scratch::new("one").await?, Scratch::new("other").await?);
    assert!(one.namespace.set_sysctl("net/ipv4/ip_forward", "1")?);
    assert!(!one.namespace.set_sysctl("net/ipv4/ip_forward", "1")?);
    assert_eq!(one.namespace.sysctl("net/ipv4/ip_forward")?, "1");
    assert_eq!(other.namespace.sysctl("net/ipv4/ip_forward")?, "0");
    Ok(())
}

#[tokio::test]
async fn a_setting_is_one_of_the_network() -> Result<()> {
    let scratch = Scratch::new("settings").await?;
    for path in ["kernel/hostname", "net/../kernel/hostname", "/proc/sys/net/ipv4/ip_forward", "net/"] {
        let refused = scratch.namespace.set_sysctl(path, "x");
        assert!(refused.is_err(), "{path}");
    }
    assert!(matches!(scratch.namespace.sysctl("kernel/hostname"), Err(Error::SysctlPath { .. })));
    assert!(matches!(scratch.namespace.sysctl("net/../kernel/hostname"), Err(Error::SysctlPath { .. })));
    Ok(())
}

#[test]
fn another_namespace_under_the_same_name_has_another_number() -> Result<()> {
    let name = unused_name("number");
    let first = Namespace::create(&name)?;
    assert_eq!(Namespace::numbers()?.get(&name), Some(&first.number()?));
    Namespace::delete(&name)?;
    assert_eq!(Namespace::numbers()?.get(&name), None);
    let second = Namespace::create(&name)?;
    assert_eq!(Namespace::numbers()?.get(&name), Some(&second.number()?));
    assert_ne!(first.number()?, second.number()?);
    Namespace::delete(&name)?;
    Ok(())
}
