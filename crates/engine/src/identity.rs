//! Identities as IKE knows them (RFC 7296, section 3.5; RFC 2407, section 4.6.2.1).

use std::fmt;
use std::net::IpAddr;

/// Who an end of a tunnel says that it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// `ID_IPV4_ADDR` or `ID_IPV6_ADDR`.
    Address(IpAddr),
    /// `ID_FQDN`, without the leading `@` that some write.
    Fqdn(String),
    /// `ID_RFC822_ADDR`.
    Email(String),
    /// `ID_KEY_ID`: opaque bytes.
    KeyId(Vec<u8>),
}

impl Identity {
    /// Reads what a tenant writes: an IP address is an address; `@#` before hexadecimal digits is a
    /// key id; `@name` and any text without `@` is a name; `user@host` is an e-mail address.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if let Ok(address) = text.parse() {
            return Self::Address(address);
        }
        if let Some(bytes) = text.strip_prefix("@#").and_then(bytes_of_hex) {
            return Self::KeyId(bytes);
        }
        match text.strip_prefix('@') {
            Some(name) => Self::Fqdn(name.to_owned()),
            None if text.contains('@') => Self::Email(text.to_owned()),
            None => Self::Fqdn(text.to_owned()),
        }
    }
}

/// In the form that [`Identity::parse`] reads back.
impl fmt::Display for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(out),
            Self::Fqdn(name) => write!(out, "@{name}"),
            Self::Email(address) => out.write_str(address),
            Self::KeyId(bytes) => {
                out.write_str("@#")?;
                bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
            }
        }
    }
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || text.is_empty() || text.len() % 2 == 1 {
        return None;
    }
    let octet = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
    (0..text.len()).step_by(2).map(octet).collect()
}

#[cfg(test)]
mod tests {
    use super::Identity;

    #[test]
    fn identities_are_typed_by_how_they_look_and_read_back() {
        let cases = [
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("vpn.example.org", "@vpn.example.org"),
            ("@vpn.example.org", "@vpn.example.org"),
            ("branch", "@branch"),
            ("ops@example.org", "ops@example.org"),
            ("@#c0ffee", "@#c0ffee"),
            ("@#xyz", "@#xyz"),
        ];
        for (given, shown) in cases {
            let identity = Identity::parse(given);
            assert_eq!(identity.to_string(), shown, "{given}");
            assert_eq!(Identity::parse(&identity.to_string()), identity, "{given}");
        }
        assert_eq!(Identity::parse("@#c0ffee"), Identity::KeyId(vec![0xc0, 0xff, 0xee]));
        assert_eq!(Identity::parse("@#xyz"), Identity::Fqdn("#xyz".into()));
    }
}
