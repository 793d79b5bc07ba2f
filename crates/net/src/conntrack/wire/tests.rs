use proptest::prelude::*;

use super::{AF_INET, Answer, Connection, Ends, answers, delete};

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn tuple(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
    let addresses = [attribute(1, &source), attribute(2, &destination)].concat();
    [attribute(0x8001, &addresses), attribute(0x8002, &attribute(1, &[17]))].concat()
}

/// As the kernel shows a connection from 10.0.0.1 to 10.0.0.2 whose answers go to `answers_to`.
fn shown(answers_to: [u8; 4]) -> Vec<u8> {
    let attributes = [
        attribute(0x8001, &tuple([10, 0, 0, 1], [10, 0, 0, 2])),
        attribute(0x8002, &tuple([10, 0, 0, 2], answers_to)),
        attribute(3, &[0, 0, 1, 8]),
        attribute(12, &[1, 2, 3, 4]),
    ];
    super::message(super::NEW, 2, AF_INET, &attributes.concat())
}

fn connection(datagram: &[u8]) -> Connection {
    match answers(datagram).pop() {
        Some(Ok(Answer::Connection(connection))) => connection,
        _ => panic!("no connection"),
    }
}

#[test]
fn a_connection_is_translated_when_its_answers_go_elsewhere() {
    assert!(!connection(&shown([10, 0, 0, 1])).translated());
    let translated = connection(&shown([203, 0, 113, 1]));
    assert!(translated.translated());
    let ends = Ends { source: "10.0.0.1".parse().unwrap(), destination: "10.0.0.2".parse().unwrap() };
    assert_eq!(translated.original, ends);
}

#[test]
fn a_deletion_names_the_connection_in_the_kernels_own_words() {
    let message = delete(AF_INET, &connection(&shown([203, 0, 113, 1])));
    let named =
        [attribute(0x8001, &tuple([10, 0, 0, 1], [10, 0, 0, 2])), attribute(12, &[1, 2, 3, 4])].concat();
    assert_eq!(&message[20..], named);
    assert_eq!(message.len(), u32::from_ne_bytes(message[..4].try_into().unwrap()) as usize);
}

#[test]
fn one_datagram_holds_many_messages() {
    let datagram =
        [shown([10, 0, 0, 1]), shown([10, 0, 0, 9]), super::message(super::NLMSG_DONE, 2, 0, &[])].concat();
    assert_eq!(answers(&datagram).len(), 3);
    assert!(matches!(answers(&datagram).pop(), Some(Ok(Answer::Done))));
}

proptest! {
    #[test]
    fn nothing_that_arrives_makes_it_panic(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = answers(&datagram);
    }

    #[test]
    fn nothing_that_is_cut_short_or_changed_makes_it_panic(length in 0_usize..120, at in 0_usize..120, byte: u8) {
        let mut datagram = shown([10, 0, 0, 9]);
        if let Some(place) = datagram.get_mut(at) {
            *place = byte;
        }
        datagram.truncate(length);
        let _ = answers(&datagram);
    }
}
