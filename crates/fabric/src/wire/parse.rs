//! Reading fields strictly.

use std::fmt::Display;
use std::str::FromStr;
use thiserror::Error;
use uuid::Uuid;

/// Something that a peer has sent and that the protocol does not allow: the peer's fault, or that of
/// a version that we do not know. It never has a key in it.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{field}: {why}")]
pub struct WireError {
    /// Where, as in `desired.routers[0].tunnels[3].peer`.
    pub field: String,
    /// What is amiss.
    pub why: String,
}

impl WireError {
    pub(crate) fn new(field: &str, why: impl Display) -> Self {
        Self { field: field.to_owned(), why: why.to_string() }
    }

    fn within(self, outer: &str) -> Self {
        Self { field: format!("{outer}.{}", self.field), why: self.why }
    }
}

/// A message that must be there.
pub(super) fn required<W, T>(field: &str, message: Option<W>) -> Result<T, WireError>
where
    T: TryFrom<W, Error = WireError>,
{
    let message = message.ok_or_else(|| missing(field))?;
    T::try_from(message).map_err(|error| error.within(field))
}

/// A message that may be there.
pub(super) fn optional<W, T>(field: &str, message: Option<W>) -> Result<Option<T>, WireError>
where
    T: TryFrom<W, Error = WireError>,
{
    message.map(|message| T::try_from(message).map_err(|error| error.within(field))).transpose()
}

/// Messages.
pub(super) fn each<W, T>(field: &str, messages: Vec<W>) -> Result<Vec<T>, WireError>
where
    T: TryFrom<W, Error = WireError>,
{
    let read = |(at, message)| T::try_from(message).map_err(|error| error.within(&format!("{field}[{at}]")));
    messages.into_iter().enumerate().map(read).collect()
}

/// A value in the text form that its type reads.
pub(super) fn text<T>(field: &str, text: &str) -> Result<T, WireError>
where
    T: FromStr<Err: Display>,
{
    text.parse().map_err(|error| WireError::new(field, error))
}

/// Values in text form.
pub(super) fn texts<T>(field: &str, list: &[String]) -> Result<Vec<T>, WireError>
where
    T: FromStr<Err: Display>,
{
    list.iter().enumerate().map(|(at, one)| text(&format!("{field}[{at}]"), one)).collect()
}

/// An id.
pub(super) fn id(field: &str, bytes: &[u8]) -> Result<Uuid, WireError> {
    Uuid::from_slice(bytes)
        .map_err(|_| WireError::new(field, format_args!("{} bytes are no id", bytes.len())))
}

/// Ids.
pub(super) fn ids<T>(field: &str, list: &[Vec<u8>], typed: fn(Uuid) -> T) -> Result<Vec<T>, WireError> {
    list.iter().enumerate().map(|(at, one)| id(&format!("{field}[{at}]"), one).map(typed)).collect()
}

/// A closed enumeration of ours that has the same names on the wire.
pub(super) trait Choice: Sized {
    /// What it is on the wire.
    type Wire: TryFrom<i32>;

    /// Nothing for the zero, which is never sent.
    fn of(wire: Self::Wire) -> Option<Self>;
}

/// One of an enumeration.
pub(super) fn choice<T: Choice>(field: &str, number: i32) -> Result<T, WireError> {
    let known = T::Wire::try_from(number).ok().and_then(T::of);
    known.ok_or_else(|| WireError::new(field, format_args!("there is no {number}")))
}

pub(super) fn missing(field: &str) -> WireError {
    WireError::new(field, "is missing")
}

/// Both ways between an enumeration of ours and that of the same name on the wire. A new name on
/// either side that is not here does not compile.
macro_rules! same_names {
    ($own:ident::$name:ident, $($variant:ident),+ $(,)?) => {
        impl From<$own::$name> for $crate::wire::v1::$name {
            fn from(value: $own::$name) -> Self {
                match value {
                    $($own::$name::$variant => Self::$variant,)+
                }
            }
        }

        impl $crate::wire::parse::Choice for $own::$name {
            type Wire = $crate::wire::v1::$name;

            fn of(wire: Self::Wire) -> Option<Self> {
                match wire {
                    Self::Wire::Unspecified => None,
                    $(Self::Wire::$variant => Some(Self::$variant),)+
                }
            }
        }
    };
}

pub(super) use same_names;
