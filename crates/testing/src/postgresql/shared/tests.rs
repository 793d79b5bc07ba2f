//! A cluster that is shared by users who come and go, and are killed.

use super::*;
use tempfile::TempDir;

/// For the cluster to end by itself: some looks of the keeper, a second apart, on a machine that is busy.
const BOUND: Duration = Duration::from_secs(60);

/// Users of a folder of its own; nothing when there need not be a PostgreSQL on this machine.
fn places(folder: &TempDir) -> Option<Places> {
    let is_told_another = std::env::var_os("KAREZ_TEST_POSTGRES_URL").is_some();
    (!is_told_another).then(|| Places::under(folder.path()).unwrap())
}

fn has_keeper(places: &Places) -> bool {
    matches!(open(&places.keeper).unwrap().try_lock(), Err(TryLockError::WouldBlock))
}

fn pid(places: &Places) -> String {
    let words = fs::read_to_string(places.link.join("data/postmaster.pid")).unwrap();
    words.lines().next().unwrap().to_owned()
}

/// The process id of the keeper.
fn keeper(places: &Places) -> String {
    let words = format!("\0sh\0keep\0{}\0", places.link.display());
    let is_keeper = |process: &fs::DirEntry| {
        let started_with = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&started_with).contains(&words)
    };
    let found = fs::read_dir("/proc").unwrap().filter_map(Result::ok).find(is_keeper);
    found.unwrap().file_name().into_string().unwrap()
}

/// Waits until nothing is left of a cluster.
fn is_gone(places: &Places, directory: &Path) {
    let what = "the end of the cluster and its keeper";
    wait::until(what, BOUND, || {
        let is_left = directory.exists() || places.link.symlink_metadata().is_ok() || has_keeper(places);
        Ok((!is_left).then_some(()))
    })
    .unwrap();
}

#[test]
fn users_share_a_cluster_that_ends_after_the_last_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let Some(places) = places(&folder) else { return };
    let one = places.join().unwrap();
    let other = places.join().unwrap();
    assert_eq!(one.port, other.port);
    let (directory, first) = (fs::read_link(&places.link).unwrap(), pid(&places));
    drop(one);
    // Longer than the keeper waits when there is nobody.
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(pid(&places), first);
    drop(other);
    is_gone(&places, &directory);
    // As it was our child, its number remains, but nothing else.
    assert!(fs::read(format!("/proc/{first}/cmdline")).unwrap_or_default().is_empty());
}

#[test]
fn a_cluster_that_has_ended_or_lost_its_keeper_is_had_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(places) = places(&folder) else { return };
    let early = places.join().unwrap();
    let killed = fs::read_link(&places.link).unwrap();
    run(Command::new("kill").args(["-KILL", &pid(&places)])).unwrap();
    wait::until("the end of the server", BOUND, || Ok(Server::behind(&places.link).is_none().then_some(())))
        .unwrap();
    let late = places.join().unwrap();
    let directory = fs::read_link(&places.link).unwrap();
    assert!(directory != killed && !killed.exists());

    run(Command::new("kill").args(["-KILL", &keeper(&places)])).unwrap();
    wait::until("the end of the keeper", BOUND, || Ok((!has_keeper(&places)).then_some(()))).unwrap();
    let last = places.join().unwrap();
    assert!(has_keeper(&places) && last.port == late.port);
    drop((early, late, last));
    is_gone(&places, &directory);
}

#[test]
fn a_server_says_what_it_is() {
    let words = "4711\n/tmp/x/data\n1700000000\n5433\n/tmp/x\n127.0.0.1\n  4711  3\nready   \n";
    let (pid, server) = Server::parse(words).unwrap();
    assert_eq!((pid, server.port, server.is_ready), (4711, 5433, true));
    let (_, server) = Server::parse(&words.replace("ready", "starting")).unwrap();
    assert!(!server.is_ready);
    assert!(Server::parse("").is_none());
}
