//! Asks the kernel whether it has ESP, by adding a security association in a network namespace that exists only for
//! the question and is gone with it.

use nix::sched::{CloneFlags, unshare};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};
use std::io;

/// `XFRM_MSG_NEWSA` in `linux/xfrm.h`.
const NEW_SA: u16 = 0x10;
/// `XFRMA_ALG_AUTH`.
const ALG_AUTH: u16 = 1;
/// `XFRMA_ALG_CRYPT`.
const ALG_CRYPT: u16 = 2;
/// `NLM_F_REQUEST | NLM_F_ACK`.
const REQUEST_WITH_ACK: u16 = 1 | 4;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;

/// Whether the kernel can do ESP with AES-CBC and HMAC-SHA1, the API's default. Blocks for some milliseconds.
///
/// # Errors
/// Without root.
pub(crate) fn kernel_has_esp() -> io::Result<bool> {
    let thread = std::thread::Builder::new().name("karez-probe".into()).spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        ask()
    })?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the probe of the kernel has panicked")))
}

fn ask() -> io::Result<bool> {
    let flags = SocketFlags::CLOEXEC;
    let socket = match socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::XFRM)) {
        Ok(socket) => socket,
        Err(Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT) => return Ok(false),
        Err(errno) => return Err(errno.into()),
    };
    send(&socket, &new_sa(), SendFlags::empty())?;
    let mut answer = [0_u8; 1024];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    let kind = answer.get(4..6).and_then(|octets| octets.try_into().ok()).map(u16::from_ne_bytes);
    let code = answer.get(16..20).and_then(|octets| octets.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(ERROR), Some(0)) if length >= 20 => Ok(true),
        (Some(ERROR), Some(code)) if length >= 20 => match Errno::from_raw_os_error(-code) {
            Errno::PERM => Err(Errno::PERM.into()),
            _ => Ok(false),
        },
        _ => Err(io::Error::other("the kernel's answer to a new security association is not understood")),
    }
}

/// An ESP association in tunnel mode between two addresses of RFC 5737, with keys of zeros: `struct nlmsghdr`,
/// `struct xfrm_usersa_info` (224 octets with its padding), and two `struct xfrm_algo`.
fn new_sa() -> Vec<u8> {
    let (source, destination) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    let inet = u16::to_ne_bytes(2);
    let mut info = [0_u8; 224];
    // The selector: its family.
    put(&mut info, 40, &inet);
    // The identity: destination, SPI, protocol 50.
    put(&mut info, 56, &destination);
    put(&mut info, 72, &0x1000_u32.to_be_bytes());
    put(&mut info, 76, &[50]);
    put(&mut info, 80, &source);
    // Four limits without end; the other four, in seconds, are off at zero.
    put(&mut info, 96, &[0xff; 32]);
    // Request id, family, tunnel mode.
    put(&mut info, 208, &1_u32.to_ne_bytes());
    put(&mut info, 212, &inet);
    put(&mut info, 214, &[1]);
    let mut message = vec![0; 16];
    message.extend_from_slice(&info);
    algorithm(&mut message, ALG_CRYPT, "cbc(aes)", 16);
    algorithm(&mut message, ALG_AUTH, "hmac(sha1)", 20);
    let length = u32::try_from(message.len()).unwrap_or(0);
    put(&mut message, 0, &length.to_ne_bytes());
    put(&mut message, 4, &NEW_SA.to_ne_bytes());
    put(&mut message, 6, &REQUEST_WITH_ACK.to_ne_bytes());
    message
}

fn algorithm(message: &mut Vec<u8>, kind: u16, name: &str, key: usize) {
    // Header, name, length of the key in bits, key: always a multiple of four.
    let mut attribute = vec![0; 4 + 64 + 4 + key];
    let length = u16::try_from(attribute.len()).unwrap_or(0);
    put(&mut attribute, 0, &length.to_ne_bytes());
    put(&mut attribute, 2, &kind.to_ne_bytes());
    put(&mut attribute, 4, name.as_bytes());
    put(&mut attribute, 68, &u32::try_from(key * 8).unwrap_or(0).to_ne_bytes());
    message.extend_from_slice(&attribute);
}

fn put(target: &mut [u8], at: usize, octets: &[u8]) {
    if let Some(room) = target.get_mut(at..at + octets.len()) {
        room.copy_from_slice(octets);
    }
}

#[cfg(test)]
mod tests {
    use super::kernel_has_esp;
    use std::process::Command;

    /// The judge is `ip xfrm`, in a namespace of its own.
    #[test]
    fn the_kernel_is_judged_as_iproute2_judges_it() {
        let add = "ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1000 mode tunnel \
                   enc 'cbc(aes)' 0x00000000000000000000000000000000 \
                   auth 'hmac(sha1)' 0x0000000000000000000000000000000000000000";
        let judge = Command::new("unshare").args(["-n", "sh", "-c", add]).output().unwrap();
        assert_eq!(kernel_has_esp().unwrap(), judge.status.success(), "{judge:?}");
    }
}
