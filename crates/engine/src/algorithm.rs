//! Algorithms by the names that the API gives them.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A name that no algorithm of its kind has.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("'{name}' is no {kind} algorithm")]
pub struct Unknown {
    /// What was looked for.
    pub kind: &'static str,
    /// The name that was given.
    pub name: String,
}

/// Encryption (IANA IKEv2 transform type 1). Key lengths are in bits, ICV lengths in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encryption {
    /// `ENCR_3DES`.
    TripleDes,
    /// `ENCR_AES_CBC` (RFC 3602).
    AesCbc(u16),
    /// `ENCR_AES_CTR` (RFC 3686).
    AesCtr(u16),
    /// `ENCR_AES_CCM` (RFC 4309).
    AesCcm {
        /// 128, 192 or 256.
        key: u16,
        /// 8, 12 or 16.
        icv: u8,
    },
    /// `ENCR_AES_GCM` (RFC 4106).
    AesGcm {
        /// 128, 192 or 256.
        key: u16,
        /// 8, 12 or 16.
        icv: u8,
    },
}

impl Encryption {
    /// Whether it brings its own integrity.
    #[must_use]
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::AesCcm { .. } | Self::AesGcm { .. })
    }
}

impl FromStr for Encryption {
    type Err = Unknown;

    fn from_str(name: &str) -> Result<Self, Unknown> {
        let unknown = || Unknown { kind: "encryption", name: name.to_owned() };
        let parts: Vec<&str> = name.split('-').collect();
        let key = |text: &str| match text {
            "128" => Ok(128),
            "192" => Ok(192),
            "256" => Ok(256),
            _ => Err(unknown()),
        };
        let icv = |text: &str| match text {
            "8" => Ok(8),
            "12" => Ok(12),
            "16" => Ok(16),
            _ => Err(unknown()),
        };
        match parts.as_slice() {
            ["3des"] => Ok(Self::TripleDes),
            ["aes", bits] => Ok(Self::AesCbc(key(bits)?)),
            ["aes", bits, "ctr"] => Ok(Self::AesCtr(key(bits)?)),
            ["aes", bits, "ccm", octets] => Ok(Self::AesCcm { key: key(bits)?, icv: icv(octets)? }),
            ["aes", bits, "gcm", octets] => Ok(Self::AesGcm { key: key(bits)?, icv: icv(octets)? }),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TripleDes => out.write_str("3des"),
            Self::AesCbc(key) => write!(out, "aes-{key}"),
            Self::AesCtr(key) => write!(out, "aes-{key}-ctr"),
            Self::AesCcm { key, icv } => write!(out, "aes-{key}-ccm-{icv}"),
            Self::AesGcm { key, icv } => write!(out, "aes-{key}-gcm-{icv}"),
        }
    }
}

/// Integrity (IANA IKEv2 transform type 3), and the PRF of IKE that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Integrity {
    /// HMAC-SHA1-96.
    Sha1,
    /// HMAC-SHA2-256-128.
    Sha256,
    /// HMAC-SHA2-384-192.
    Sha384,
    /// HMAC-SHA2-512-256.
    Sha512,
    /// AES-XCBC-96.
    AesXcbc,
    /// AES-CMAC-96.
    AesCmac,
}

impl Integrity {
    const NAMES: [(&'static str, Self); 6] = [
        ("sha1", Self::Sha1),
        ("sha256", Self::Sha256),
        ("sha384", Self::Sha384),
        ("sha512", Self::Sha512),
        ("aes-xcbc", Self::AesXcbc),
        ("aes-cmac", Self::AesCmac),
    ];

    /// Length of the integrity check value in ESP and AH, in octets.
    #[must_use]
    pub const fn icv(self) -> u8 {
        match self {
            Self::Sha1 | Self::AesXcbc | Self::AesCmac => 12,
            Self::Sha256 => 16,
            Self::Sha384 => 24,
            Self::Sha512 => 32,
        }
    }
}

impl FromStr for Integrity {
    type Err = Unknown;

    fn from_str(name: &str) -> Result<Self, Unknown> {
        let found = Self::NAMES.into_iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| value).ok_or_else(|| Unknown { kind: "integrity", name: name.to_owned() })
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.into_iter().find(|(_, value)| value == self).map_or("", |(name, _)| name);
        out.write_str(name)
    }
}

/// A Diffie-Hellman group by its number (IANA IKEv2 transform type 4): 2, 5 or 14 to 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(u8);

impl Group {
    /// The group's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl FromStr for Group {
    type Err = Unknown;

    fn from_str(name: &str) -> Result<Self, Unknown> {
        let number = name.strip_prefix("group").and_then(|number| number.parse().ok());
        match number {
            Some(number @ (2 | 5 | 14..=31)) => Ok(Self(number)),
            Some(_) | None => Err(Unknown { kind: "Diffie-Hellman group", name: name.to_owned() }),
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "group{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Encryption, Group, Integrity};
    use karez_model::{Kind, Type};
    use std::fmt::Display;
    use std::str::FromStr;

    /// Every value that the API accepts is an algorithm here, under the same name.
    #[test]
    fn the_names_are_those_of_the_api() {
        for kind in [Kind::IkePolicy, Kind::IpsecPolicy] {
            for attribute in kind.resource().attributes {
                let Type::Enum(names) = &attribute.ty else { continue };
                match attribute.name {
                    "encryption_algorithm" => names.iter().for_each(read_back::<Encryption>),
                    "auth_algorithm" => names.iter().for_each(read_back::<Integrity>),
                    "pfs" => names.iter().for_each(read_back::<Group>),
                    _ => {}
                }
            }
        }
    }

    fn read_back<T: FromStr + Display>(name: &&'static str) {
        let Ok(value) = name.parse::<T>() else { panic!("{name} is not known") };
        assert_eq!(value.to_string(), **name);
    }

    #[test]
    fn other_names_are_refused() {
        assert!("aes-512".parse::<Encryption>().is_err());
        assert!("aes-128-gcm-4".parse::<Encryption>().is_err());
        assert!("md5".parse::<Integrity>().is_err());
        assert!("group13".parse::<Group>().is_err());
        assert!("14".parse::<Group>().is_err());
    }
}
