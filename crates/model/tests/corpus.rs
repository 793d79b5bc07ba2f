//! The bodies that the fuzzer learnt from and those that it found, each once, without a fuzzer.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says why, and above it stands which body it had"
)]

#[path = "../../../fuzz/check.rs"]
mod check;

use check::{Verb, Verdict};
use karez_model::Kind;
use std::fs;
use std::path::{Path, PathBuf};

/// Every file of `fuzz/seeds/body` and `fuzz/corpus/body`.
fn inputs() -> Vec<(PathBuf, Vec<u8>)> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let folders = ["seeds/body", "corpus/body"].map(|folder| fs::read_dir(fuzz.join(folder)));
    let entries = folders.into_iter().flat_map(|folder| folder.expect("a folder of bodies"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("a body"))).collect()
}

#[test]
fn every_body_of_the_corpus_is_taken_or_refused_as_it_should_be() {
    for (path, input) in inputs() {
        // The path stands above the panic of a body that is not.
        println!("{}", path.display());
        check::check(&input);
    }
}

#[test]
fn the_corpus_has_bodies_of_each_kind_that_are_taken_and_that_are_refused() {
    let mut seen = Vec::new();
    for (_, input) in inputs() {
        let verdict = check::check(&input);
        seen.extend(input.first().map(|first| (check::addressed(*first), verdict)));
    }
    for kind in Kind::ALL {
        for verb in [Verb::Post, Verb::Put] {
            for verdict in [Verdict::Refused, Verdict::Taken] {
                // Agents come by themselves: there is nothing that a POST of one could set.
                assert!(seen.contains(&((*kind, verb), verdict)), "no {verb:?} of {kind:?} is {verdict:?}");
            }
        }
    }
}

#[test]
fn a_seed_named_refused_is_refused_and_one_named_taken_is_taken() {
    for (path, input) in inputs() {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let expected = match name.rsplit('-').next() {
            Some("taken") => Verdict::Taken,
            Some("refused") => Verdict::Refused,
            Some("nobody") => Verdict::NoObject,
            _ => continue,
        };
        assert_eq!(check::check(&input), expected, "{}", path.display());
    }
}
