use super::*;
use crate::error::status;
use karez_model::{Kind, parse};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

fn request(body: &[u8]) -> Request {
    Request {
        method: Method::POST,
        path: "/v2.0/networks".into(),
        query: Vec::new(),
        body: bytes::Bytes::copy_from_slice(body),
        base: "http://localhost".into(),
    }
}

/// The bodies of the fuzz corpus; the first byte of each is the fuzzer's own.
fn corpus() -> Vec<Vec<u8>> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let folders = ["seeds/body", "corpus/body"].map(|folder| fs::read_dir(fuzz.join(folder)));
    let files = folders.into_iter().flat_map(|folder| folder.expect("a folder of bodies"));
    let inputs = files.map(|file| fs::read(file.expect("an entry").path()).expect("a body"));
    inputs.filter_map(|input| Some(input.split_first()?.1.to_vec())).collect()
}

fn is_a_callers_fault(failure: &Failure) -> bool {
    let Failure::Fault(fault) = failure else { return false };
    status(fault.reason).is_client_error()
        && fault.message.len() < 2048
        && !fault.message.contains(char::is_control)
}

/// Reads a body as POST and PUT do. Fails when something else than the caller is to blame.
fn read(kind: Kind, body: &[u8]) {
    let request = request(body);
    match request.created(kind.resource()) {
        Ok((objects, is_bulk)) => {
            assert!(is_bulk || objects.len() == 1);
            assert!((1..=parse::MAX_LIST).contains(&objects.len()));
        }
        Err(failure) => assert!(is_a_callers_fault(&failure), "{failure}"),
    }
    if let Err(failure) = request.updated(kind.resource()) {
        assert!(is_a_callers_fault(&failure), "{failure}");
    }
}

#[test]
fn every_body_of_the_corpus_is_read_or_the_fault_of_its_caller() {
    let corpus = corpus();
    assert!(!corpus.is_empty());
    for body in corpus {
        for kind in Kind::ALL {
            read(*kind, &body);
        }
    }
}

#[test]
fn core_resources_come_in_bulk_and_no_others() {
    let body = br#"{"networks": [{"name": "a"}, {"network": {"name": "b"}}]}"#;
    let (objects, is_bulk) = request(body).created(Kind::Network.resource()).expect("two networks");
    let names: Vec<&str> = objects.iter().filter_map(|object| object["name"].as_str()).collect();
    assert_eq!((names, is_bulk), (vec!["a", "b"], true));
    assert!(request(br#"{"ikepolicies": [{}]}"#).created(Kind::IkePolicy.resource()).is_err());
    for body in [r#"{"networks": []}"#.to_owned(), format!(r#"{{"networks": [{{}}{}]}}"#, ",{}".repeat(1000))]
    {
        assert!(request(body.as_bytes()).created(Kind::Network.resource()).is_err());
    }
}

proptest! {
    #[test]
    fn bytes_that_are_no_json_are_the_fault_of_their_caller(
        kind in prop::sample::select(Kind::ALL), body in prop::collection::vec(any::<u8>(), 0..64)
    ) {
        read(kind, &body);
    }
}
