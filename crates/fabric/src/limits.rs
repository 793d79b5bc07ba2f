//! Bounds and times that both sides of a connection keep.

use std::time::Duration;

/// Octets of a message to an agent: a whole desired state is one message. A tunnel is about half a
/// kilobyte.
pub(crate) const TO_AGENT: usize = 64 << 20;
/// Octets of a message from an agent, which sends long reports in parts.
pub(crate) const FROM_AGENT: usize = 4 << 20;
/// Octets of a request for a certificate.
pub(crate) const REQUEST: usize = 16 << 10;

/// A silent peer is asked after this time …
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(4);
/// … and is dead when it has not answered after this. Together less than ten seconds.
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(4);

/// How long it may take to be connected, and as long again for TLS.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// HTTP/2 flow control: octets on their way in one stream.
pub(crate) const STREAM_WINDOW: u32 = 1 << 20;
