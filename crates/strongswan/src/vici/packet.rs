//! Packets: a length, a type, for most types a name, and a message.

use super::{Message, ViciError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

const CMD_REQUEST: u8 = 0;
const CMD_RESPONSE: u8 = 1;
const CMD_UNKNOWN: u8 = 2;
const EVENT_REGISTER: u8 = 3;
const EVENT_UNREGISTER: u8 = 4;
const EVENT_CONFIRM: u8 = 5;
const EVENT_UNKNOWN: u8 = 6;
const EVENT: u8 = 7;

/// charon's own limit is 512 KiB.
const LONGEST: u32 = 1 << 20;

/// What we say.
pub(super) enum Outbound<'a> {
    /// Do this.
    Request(&'a str, &'a Message),
    /// Tell us of these events.
    Register(&'a str),
    /// Tell us no more.
    Unregister(&'a str),
}

/// What the daemon says.
pub(super) enum Inbound {
    /// The answer to a request.
    Response(Message),
    /// A registration was understood.
    Confirmed,
    /// It does not know such a command or event.
    Unknown,
    /// An event.
    Event(String, Message),
}

impl Outbound<'_> {
    pub(super) async fn send(&self, writer: &mut (impl AsyncWrite + Unpin)) -> Result<(), ViciError> {
        let (kind, name, message) = match self {
            Self::Request(name, message) => (CMD_REQUEST, name, Some(message)),
            Self::Register(name) => (EVENT_REGISTER, name, None),
            Self::Unregister(name) => (EVENT_UNREGISTER, name, None),
        };
        let name_length = u8::try_from(name.len()).map_err(|_| ViciError::Protocol("a name is too long"))?;
        let mut bytes = Zeroizing::new(vec![0, 0, 0, 0, kind, name_length]);
        bytes.extend_from_slice(name.as_bytes());
        if let Some(message) = message {
            message.encode(&mut bytes)?;
        }
        let length =
            u32::try_from(bytes.len() - 4).map_err(|_| ViciError::Protocol("a packet is too long"))?;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        writer.write_all(&bytes).await?;
        Ok(())
    }
}

impl Inbound {
    pub(super) async fn receive(reader: &mut (impl AsyncRead + Unpin)) -> Result<Self, ViciError> {
        let length = reader.read_u32().await?;
        if length > LONGEST {
            return Err(ViciError::Protocol("a packet is too long"));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        reader.read_exact(&mut bytes).await?;
        let (kind, rest) = bytes.split_first().ok_or(ViciError::Protocol("an empty packet"))?;
        match *kind {
            CMD_RESPONSE => Ok(Self::Response(Message::decode(rest)?)),
            CMD_UNKNOWN | EVENT_UNKNOWN => Ok(Self::Unknown),
            EVENT_CONFIRM => Ok(Self::Confirmed),
            EVENT => {
                let (length, rest) =
                    rest.split_first().ok_or(ViciError::Protocol("an event without a name"))?;
                let (name, rest) = rest
                    .split_at_checked(usize::from(*length))
                    .ok_or(ViciError::Protocol("an event's name is cut short"))?;
                Ok(Self::Event(String::from_utf8_lossy(name).into_owned(), Message::decode(rest)?))
            }
            _ => Err(ViciError::Protocol("a packet of an unknown type")),
        }
    }
}
