use super::*;

fn keyring() -> (tempfile::TempDir, Keyring) {
    let folder = tempfile::tempdir().expect("a folder");
    let keyring = Keyring::open(&folder.path().join("secret.key")).expect("a keyring");
    (folder, keyring)
}

fn psk() -> Secret {
    Secret::new("correct horse".into())
}

#[test]
fn a_sealed_secret_opens_at_its_place_and_nowhere_else() {
    let (_folder, keyring) = keyring();
    let sealed = keyring.seal(&psk(), "connections.psk:1").expect("sealed");
    assert!(keyring.open_sealed(&sealed, "connections.psk:1").is_ok_and(|open| open == psk()));
    assert!(keyring.open_sealed(&sealed, "connections.psk:2").is_err());
}

#[test]
fn a_sealed_secret_shows_nothing_and_differs_each_time() {
    let (_folder, keyring) = keyring();
    let first = keyring.seal(&psk(), "x").expect("sealed");
    let second = keyring.seal(&psk(), "x").expect("sealed");
    assert_ne!(first, second);
    assert!(!first.windows(5).any(|part| part == b"horse"));
}

#[test]
fn a_changed_byte_anywhere_is_noticed() {
    let (_folder, keyring) = keyring();
    let sealed = keyring.seal(&psk(), "x").expect("sealed");
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(keyring.open_sealed(&changed, "x").is_err(), "byte {at}");
    }
    assert!(keyring.open_sealed(&sealed[..HEAD - 1], "x").is_err());
}

#[test]
fn a_rotated_key_seals_and_the_old_one_opens_until_it_is_retired() {
    let (folder, keyring) = keyring();
    let old = keyring.seal(&psk(), "x").expect("sealed");
    let other_process = Keyring::open(&folder.path().join("secret.key")).expect("a keyring");
    keyring.add_key().expect("a key");
    assert!(keyring.is_outdated(&old));
    assert!(keyring.open_sealed(&old, "x").is_ok());
    let new = keyring.seal(&psk(), "x").expect("sealed");
    assert!(other_process.open_sealed(&new, "x").is_ok(), "a running server finds the new key by itself");
    assert_eq!(keyring.retire_old_keys().expect("retired"), 1);
    let later = Keyring::open(&folder.path().join("secret.key")).expect("a keyring");
    assert!(later.open_sealed(&old, "x").is_err(), "the old key is gone");
    assert!(later.open_sealed(&new, "x").is_ok());
}

#[test]
fn the_key_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _keyring) = keyring();
    let mode = fs::metadata(folder.path().join("secret.key")).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
