//! Questions to the kernel itself (`linux/netfilter/nf_tables.h`): `nft` is a process to start, and reads whole tables
//! before it answers anything about them.

use std::collections::BTreeMap;
use std::io;

use rtnetlink::packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NlaBuffer, NlasIterator};

use super::Count;
use crate::errno;
use crate::nfnetlink::{NLMSG_DONE, NLMSG_ERROR, attribute, message, open, received};

/// `NFNL_SUBSYS_NFTABLES << 8` with `NFT_MSG_GETTABLE`, `NFT_MSG_GETCHAIN`, `NFT_MSG_GETOBJ`.
const GET_TABLE: u16 = 10 << 8 | 1;
const GET_CHAIN: u16 = 10 << 8 | 4;
const GET_OBJECT: u16 = 10 << 8 | 19;

/// `NFPROTO_INET`.
const INET: u8 = 1;

/// `NFTA_TABLE_NAME`.
const TABLE_NAME: u16 = 1;
/// `NFTA_CHAIN_TABLE`, `NFTA_CHAIN_NAME`, `NFTA_CHAIN_USE`.
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_USE: u16 = 6;
/// `NFTA_OBJ_TABLE`, `NFTA_OBJ_NAME`, `NFTA_OBJ_TYPE`, `NFTA_OBJ_DATA`.
const OBJECT_TABLE: u16 = 1;
const OBJECT_NAME: u16 = 2;
const OBJECT_TYPE: u16 = 3;
const OBJECT_DATA: u16 = 4;
/// `NFT_OBJECT_COUNTER`, `NFTA_COUNTER_BYTES`, `NFTA_COUNTER_PACKETS`.
const COUNTER: u32 = 1;
const BYTES: u16 = 1;
const PACKETS: u16 = 2;

/// `struct nlattr`.
const ATTRIBUTE_HEADER: usize = 4;

/// `NLM_F_DUMP_INTR`: something changed while it was being told.
const INTERRUPTED: u16 = 0x10;

/// How often what keeps changing is asked for before what came last is taken for good.
const READINGS: usize = 5;

/// Whether there is an `inet` table of this name, in the namespace of the calling thread.
///
/// # Errors
///
/// The kernel's, as with all questions here.
pub(super) fn has_table(table: &str) -> io::Result<bool> {
    match ask(GET_TABLE, Ask::One, &text(TABLE_NAME, table)) {
        Ok(_) => Ok(true),
        Err(error) if errno::is(&error, errno::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The chains of the `inet` table of this name, each with how many rules it has. None if there is no such table.
pub(super) fn chains(table: &str) -> io::Result<BTreeMap<String, u32>> {
    // The kernel tells of the chains of all tables, whatever it is asked for.
    let told = ask(GET_CHAIN, Ask::All, &[])?;
    Ok(told.iter().filter_map(|attributes| chain(attributes, table)).collect())
}

/// The counters of the `inet` table of this name. None if there is no such table.
pub(super) fn counters(table: &str) -> io::Result<BTreeMap<String, Count>> {
    let which = [text(OBJECT_TABLE, table), attribute(OBJECT_TYPE, &COUNTER.to_be_bytes())].concat();
    let told = ask(GET_OBJECT, Ask::All, &which)?;
    Ok(told.iter().filter_map(|attributes| counter(attributes)).collect())
}

/// How many objects a question is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    One,
    All,
}

/// The attributes of each object that the kernel tells of.
fn ask(kind: u16, ask: Ask, which: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let (mut told, mut is_consistent) = ask_once(kind, ask, which)?;
    for _ in 1..READINGS {
        if is_consistent {
            break;
        }
        (told, is_consistent) = ask_once(kind, ask, which)?;
    }
    Ok(told)
}

/// And whether nothing changed meanwhile.
fn ask_once(kind: u16, ask: Ask, which: &[u8]) -> io::Result<(Vec<Vec<u8>>, bool)> {
    let flags = match ask {
        Ask::One => NLM_F_REQUEST,
        Ask::All => NLM_F_REQUEST | NLM_F_DUMP,
    };
    let socket = open()?;
    socket.send(&message(kind, flags, INET, which), 0)?;
    let (mut told, mut is_consistent) = (Vec::new(), true);
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        for message in received(&datagram) {
            is_consistent &= message.flags & INTERRUPTED == 0;
            match (message.kind, message.attributes()) {
                (NLMSG_DONE, _) => return Ok((told, is_consistent)),
                (NLMSG_ERROR, _) => message.outcome()?,
                (_, Some(attributes)) => told.push(attributes.to_vec()),
                (_, None) => {}
            }
        }
        if ask == Ask::One {
            return Ok((told, is_consistent));
        }
    }
}

fn chain(attributes: &[u8], table: &str) -> Option<(String, u32)> {
    if read_text(find(attributes, CHAIN_TABLE)?)? != table {
        return None;
    }
    let rules = u32::from_be_bytes(find(attributes, CHAIN_USE)?.try_into().ok()?);
    Some((read_text(find(attributes, CHAIN_NAME)?)?, rules))
}

fn counter(attributes: &[u8]) -> Option<(String, Count)> {
    let data = find(attributes, OBJECT_DATA)?;
    let number = |kind| Some(u64::from_be_bytes(find(data, kind)?.try_into().ok()?));
    let count = Count { packets: number(PACKETS)?, bytes: number(BYTES)? };
    Some((read_text(find(attributes, OBJECT_NAME)?)?, count))
}

fn find(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut attributes = NlasIterator::new(attributes).map_while(Result::ok);
    let found = attributes.find(|attribute: &NlaBuffer<&[u8]>| attribute.kind() == kind)?;
    let end = usize::from(found.length());
    found.into_inner().get(ATTRIBUTE_HEADER..end)
}

/// Texts end with a zero.
fn text(kind: u16, text: &str) -> Vec<u8> {
    attribute(kind, &[text.as_bytes(), &[0]].concat())
}

fn read_text(value: &[u8]) -> Option<String> {
    Some(std::str::from_utf8(value).ok()?.trim_end_matches('\0').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_with_a_zero_and_fill_words() {
        assert_eq!(text(3, "abc"), [8, 0, 3, 0, b'a', b'b', b'c', 0]);
        assert_eq!(text(3, "abcd").len(), 12);
    }

    #[test]
    fn chains_of_other_tables_are_not_ours() {
        let told = |table: &str| {
            let rules = attribute(CHAIN_USE, &3_u32.to_be_bytes());
            [text(CHAIN_TABLE, table), text(CHAIN_NAME, "forward"), rules].concat()
        };
        assert_eq!(chain(&told("ours"), "ours"), Some(("forward".to_owned(), 3)));
        assert_eq!(chain(&told("theirs"), "ours"), None);
    }

    #[test]
    fn counters_count_beyond_32_bits() {
        let number = |kind, number: u64| attribute(kind, &number.to_be_bytes());
        let data = [number(BYTES, 1 << 40), number(PACKETS, 1 << 33)].concat();
        let told = [text(OBJECT_NAME, "seen"), attribute(OBJECT_DATA | 0x8000, &data)].concat();
        let count = Count { packets: 1 << 33, bytes: 1 << 40 };
        assert_eq!(counter(&told), Some(("seen".to_owned(), count)));
    }

    #[test]
    fn what_is_cut_off_says_nothing() {
        let whole = [text(OBJECT_NAME, "seen"), attribute(OBJECT_DATA, &[0; 7])].concat();
        for length in 0..whole.len() {
            assert_eq!(counter(&whole[..length]), None);
            assert_eq!(chain(&whole[..length], "seen"), None);
        }
    }
}
