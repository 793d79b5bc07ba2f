//! The kernel's answers that are not failures to us.

use std::io;

use nix::errno::Errno;

pub(crate) use Errno::{
    EACCES, EADDRNOTAVAIL, EAFNOSUPPORT, EEXIST, EHOSTUNREACH, EINVAL, ENETUNREACH, ENOBUFS, ENODEV, ENOENT,
    EPROTONOSUPPORT, ESRCH, EXDEV,
};

pub(crate) fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno as i32)
}
