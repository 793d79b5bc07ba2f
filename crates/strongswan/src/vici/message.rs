//! The tree that every VICI packet carries: keys with texts, lists or sections.

use super::ViciError;
use zeroize::Zeroizing;

const SECTION_START: u8 = 1;
const SECTION_END: u8 = 2;
const KEY_VALUE: u8 = 3;
const LIST_START: u8 = 4;
const LIST_ITEM: u8 = 5;
const LIST_END: u8 = 6;

/// Sections within sections; charon nests no deeper than five.
const DEEPEST: usize = 16;

/// A section: keys in their order.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Message(Vec<(String, Value)>);

/// What a key stands for. There is no `Debug`: it may be a pre-shared key.
#[derive(Clone, PartialEq)]
enum Value {
    /// Bytes, mostly text.
    Text(Zeroizing<Vec<u8>>),
    /// Several of them.
    List(Vec<Vec<u8>>),
    /// Keys below this one.
    Section(Message),
}

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// With another text.
    #[must_use]
    pub(crate) fn text(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.0.push((key.to_owned(), Value::Text(Zeroizing::new(value.as_ref().to_vec()))));
        self
    }

    /// With another list.
    #[must_use]
    pub(crate) fn list<T: AsRef<[u8]>>(mut self, key: &str, items: impl IntoIterator<Item = T>) -> Self {
        let items = items.into_iter().map(|item| item.as_ref().to_vec()).collect();
        self.0.push((key.to_owned(), Value::List(items)));
        self
    }

    /// With another section.
    #[must_use]
    pub(crate) fn section(mut self, key: &str, section: Self) -> Self {
        self.0.push((key.to_owned(), Value::Section(section)));
        self
    }

    /// The text of a key, if it is one and is UTF-8.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        match self.find(key)? {
            Value::Text(bytes) => std::str::from_utf8(bytes).ok(),
            Value::List(_) | Value::Section(_) => None,
        }
    }

    /// The text of a key as a number.
    pub(crate) fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.get(key)?.parse().ok()
    }

    /// Whether the text of a key is `yes`.
    pub(crate) fn is_yes(&self, key: &str) -> bool {
        self.get(key) == Some("yes")
    }

    /// The items of a list that are UTF-8; none when there is no such list.
    pub(crate) fn items(&self, key: &str) -> Vec<&str> {
        match self.find(key) {
            Some(Value::List(items)) => {
                items.iter().filter_map(|item| std::str::from_utf8(item).ok()).collect()
            }
            Some(Value::Text(_) | Value::Section(_)) | None => Vec::new(),
        }
    }

    /// The section of a key.
    pub(crate) fn below(&self, key: &str) -> Option<&Self> {
        match self.find(key)? {
            Value::Section(section) => Some(section),
            Value::Text(_) | Value::List(_) => None,
        }
    }

    /// All sections with their keys.
    pub(crate) fn sections(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.0.iter().filter_map(|(key, value)| match value {
            Value::Section(section) => Some((key.as_str(), section)),
            Value::Text(_) | Value::List(_) => None,
        })
    }

    /// The keys that have a text.
    pub(crate) fn text_keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, value)| matches!(value, Value::Text(_))).map(|(key, _)| key.as_str())
    }

    fn find(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    /// Its bytes, after those in `out`.
    ///
    /// # Errors
    /// A key longer than 255 octets or a value longer than 65,535.
    pub(super) fn encode(&self, out: &mut Zeroizing<Vec<u8>>) -> Result<(), ViciError> {
        for (key, value) in &self.0 {
            match value {
                Value::Text(text) => {
                    put_key(out, KEY_VALUE, key)?;
                    put_value(out, text)?;
                }
                Value::List(items) => {
                    put_key(out, LIST_START, key)?;
                    for item in items {
                        out.push(LIST_ITEM);
                        put_value(out, item)?;
                    }
                    out.push(LIST_END);
                }
                Value::Section(section) => {
                    put_key(out, SECTION_START, key)?;
                    section.encode(out)?;
                    out.push(SECTION_END);
                }
            }
        }
        Ok(())
    }

    /// Reads a message that fills `bytes`.
    ///
    /// # Errors
    /// [`ViciError::Protocol`].
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ViciError> {
        let mut reader = Reader { bytes };
        let message = reader.section(0)?;
        if reader.bytes.is_empty() { Ok(message) } else { Err(ViciError::Protocol("a section ends twice")) }
    }
}

fn put_key(out: &mut Zeroizing<Vec<u8>>, kind: u8, key: &str) -> Result<(), ViciError> {
    let length = u8::try_from(key.len()).map_err(|_| ViciError::Protocol("a key is too long"))?;
    out.push(kind);
    out.push(length);
    out.extend_from_slice(key.as_bytes());
    Ok(())
}

fn put_value(out: &mut Zeroizing<Vec<u8>>, value: &[u8]) -> Result<(), ViciError> {
    let length = u16::try_from(value.len()).map_err(|_| ViciError::Protocol("a value is too long"))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
    Ok(())
}

/// What is left to read.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads up to the end of the section, or of everything when `depth` is 0.
    fn section(&mut self, depth: usize) -> Result<Message, ViciError> {
        if depth > DEEPEST {
            return Err(ViciError::Protocol("sections are nested too deeply"));
        }
        let mut message = Message::new();
        loop {
            if depth == 0 && self.bytes.is_empty() {
                return Ok(message);
            }
            let value = match self.octet()? {
                SECTION_START => {
                    let key = self.key()?;
                    (key, Value::Section(self.section(depth + 1)?))
                }
                KEY_VALUE => (self.key()?, Value::Text(Zeroizing::new(self.value()?.to_vec()))),
                LIST_START => (self.key()?, Value::List(self.list()?)),
                SECTION_END if depth > 0 => return Ok(message),
                _ => return Err(ViciError::Protocol("an element that does not belong here")),
            };
            message.0.push(value);
        }
    }

    fn list(&mut self) -> Result<Vec<Vec<u8>>, ViciError> {
        let mut items = Vec::new();
        loop {
            match self.octet()? {
                LIST_ITEM => items.push(self.value()?.to_vec()),
                LIST_END => return Ok(items),
                _ => return Err(ViciError::Protocol("a list holds something else than items")),
            }
        }
    }

    fn key(&mut self) -> Result<String, ViciError> {
        let length = usize::from(self.octet()?);
        let bytes = self.take(length)?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn value(&mut self) -> Result<&'a [u8], ViciError> {
        let length = [self.octet()?, self.octet()?];
        self.take(usize::from(u16::from_be_bytes(length)))
    }

    fn octet(&mut self) -> Result<u8, ViciError> {
        let (first, rest) = self.bytes.split_first().ok_or(SHORT)?;
        self.bytes = rest;
        Ok(*first)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ViciError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(SHORT)?;
        self.bytes = rest;
        Ok(taken)
    }
}

const SHORT: ViciError = ViciError::Protocol("a message is cut short");

#[cfg(test)]
mod tests {
    use super::{Message, Zeroizing};
    use proptest::prelude::*;

    /// The example of strongSwan's own description of the encoding.
    #[test]
    fn the_published_example_is_encoded_as_published() {
        let section = Message::new()
            .section("sub-section", Message::new().text("key2", "value2"))
            .list("list1", ["item1", "item2"]);
        let message = Message::new().text("key1", "value1").section("section1", section);
        let mut bytes = Zeroizing::new(Vec::new());
        message.encode(&mut bytes).unwrap();
        let expected =
            b"\x03\x04key1\0\x06value1\x01\x08section1\x01\x0bsub-section\x03\x04key2\0\x06value2\x02\
            \x04\x05list1\x05\0\x05item1\x05\0\x05item2\x06\x02";
        assert_eq!(bytes.as_slice(), expected.as_slice());
        assert!(Message::decode(&bytes).unwrap() == message);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(0_u8..8, 0..64)) {
            if let Ok(message) = Message::decode(&bytes) {
                let mut again = Zeroizing::new(Vec::new());
                message.encode(&mut again).unwrap();
                prop_assert!(Message::decode(&again).unwrap() == message);
            }
        }
    }
}
