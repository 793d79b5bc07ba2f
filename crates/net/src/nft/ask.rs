//! One question to the kernel itself: `nft` reads a whole table before it answers anything about it, which takes tens of
//! milliseconds where there are hundreds of sets.

use std::io;

use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

use crate::errno;

/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN` in `linux/netfilter`.
const GET_CHAIN: u16 = 10 << 8 | 4;

/// `NLM_F_REQUEST`, `NLMSG_ERROR`.
const REQUEST: u16 = 1;
const ERROR: u16 = 2;

/// `NFPROTO_INET`.
const INET: u8 = 1;

/// `NFTA_CHAIN_TABLE`, `NFTA_CHAIN_NAME`.
const TABLE: u16 = 1;
const NAME: u16 = 3;

/// Whether the `inet` table of this name has this chain, in the namespace of the calling thread.
///
/// # Errors
///
/// The kernel's.
pub(super) fn has_chain(table: &str, chain: &str) -> io::Result<bool> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&question(table, chain), 0)?;
    let (answer, _) = socket.recv_from_full()?;
    outcome(&answer)
}

/// `struct nlmsghdr`, `struct nfgenmsg`, and the two names.
fn question(table: &str, chain: &str) -> Vec<u8> {
    let body = [vec![INET, 0, 0, 0], name(TABLE, table), name(NAME, chain)].concat();
    let length = u32::try_from(16 + body.len()).unwrap_or(0).to_ne_bytes();
    let (kind, flags) = (GET_CHAIN.to_ne_bytes(), REQUEST.to_ne_bytes());
    [length.as_slice(), &kind, &flags, &[0; 8], &body].concat()
}

/// An attribute with a text, which ends with a zero and is filled up to a multiple of four.
fn name(kind: u16, text: &str) -> Vec<u8> {
    let length = 4 + text.len() + 1;
    let header = [u16::try_from(length).unwrap_or(0).to_ne_bytes(), kind.to_ne_bytes()].concat();
    let mut attribute = [header.as_slice(), text.as_bytes()].concat();
    attribute.resize(length.next_multiple_of(4), 0);
    attribute
}

fn outcome(answer: &[u8]) -> io::Result<bool> {
    let kind = answer.get(4..6).and_then(|octets| octets.try_into().ok()).map(u16::from_ne_bytes);
    let code = answer.get(16..20).and_then(|octets| octets.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(ERROR), Some(code)) => match io::Error::from_raw_os_error(-code) {
            error if errno::is(&error, errno::ENOENT) => Ok(false),
            error => Err(error),
        },
        (Some(_), Some(_)) => Ok(true),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "no answer about a chain")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_with_a_zero_and_fill_words() {
        assert_eq!(name(3, "abc"), [8, 0, 3, 0, b'a', b'b', b'c', 0]);
        assert_eq!(name(3, "abcd").len(), 12);
        assert_eq!(question("t", "c").len(), 16 + 4 + 8 + 8);
    }

    #[test]
    fn no_such_table_or_chain_is_an_answer_and_other_errors_are_errors() {
        let error = |code: i32| [&[36, 0, 0, 0, 2, 0], [0; 10].as_slice(), &code.to_ne_bytes()].concat();
        assert!(!outcome(&error(-2)).unwrap());
        assert_eq!(outcome(&error(-1)).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert!(outcome(&[20, 0, 0, 0, 3, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]).unwrap());
        assert!(outcome(&[]).is_err());
    }
}
