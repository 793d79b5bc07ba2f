//! Algorithms by charon's names: in the proposals that we load, in the SAs and logs that it shows, and in the list of
//! what its plugins can do.

use karez_engine::{ChildPlan, Encryption, Group, IkePlan, Integrity, IpsecProtocol};

/// The IKE proposal of a plan, as charon reads it. With an AEAD the integrity algorithm is the PRF.
pub(crate) fn ike_proposal(plan: &IkePlan) -> String {
    let encryption = encryption_keyword(plan.encryption);
    let group = group_keyword(plan.group);
    if plan.encryption.is_aead() {
        return format!("{encryption}-prf{}-{group}", integrity_keyword(plan.integrity));
    }
    format!("{encryption}-{}-{group}", integrity_keyword(plan.integrity))
}

/// The child proposal of a plan, as charon reads it.
pub(crate) fn child_proposal(plan: &ChildPlan) -> String {
    let group = group_keyword(plan.group);
    match plan.protocol {
        IpsecProtocol::Ah => format!("{}-{group}", integrity_keyword(plan.integrity)),
        IpsecProtocol::Esp if plan.encryption.is_aead() => {
            format!("{}-{group}", encryption_keyword(plan.encryption))
        }
        IpsecProtocol::Esp => {
            format!("{}-{}-{group}", encryption_keyword(plan.encryption), integrity_keyword(plan.integrity))
        }
    }
}

/// The IKE suite of a plan in the API's names.
pub(crate) fn ike_suite(plan: &IkePlan) -> String {
    format!("{}/{}/{}", plan.encryption, plan.integrity, plan.group)
}

/// The child suite of a plan in the API's names.
pub(crate) fn child_suite(plan: &ChildPlan) -> String {
    match plan.protocol {
        IpsecProtocol::Ah => format!("{}/{}", plan.integrity, plan.group),
        IpsecProtocol::Esp if plan.encryption.is_aead() => format!("{}/{}", plan.encryption, plan.group),
        IpsecProtocol::Esp => format!("{}/{}/{}", plan.encryption, plan.integrity, plan.group),
    }
}

fn encryption_keyword(encryption: Encryption) -> String {
    match encryption {
        Encryption::TripleDes => "3des".into(),
        Encryption::AesCbc(key) => format!("aes{key}"),
        Encryption::AesCtr(key) => format!("aes{key}ctr"),
        Encryption::AesCcm { key, icv } => format!("aes{key}ccm{}", u16::from(icv) * 8),
        Encryption::AesGcm { key, icv } => format!("aes{key}gcm{}", u16::from(icv) * 8),
    }
}

const fn integrity_keyword(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::Sha1 => "sha1",
        Integrity::Sha256 => "sha256",
        Integrity::Sha384 => "sha384",
        Integrity::Sha512 => "sha512",
        Integrity::AesXcbc => "aesxcbc",
        Integrity::AesCmac => "aescmac",
    }
}

/// charon's keyword for a group, its name in lists and logs, and its number.
const GROUPS: [(&str, &str, u8); 20] = [
    ("modp1024", "MODP_1024", 2),
    ("modp1536", "MODP_1536", 5),
    ("modp2048", "MODP_2048", 14),
    ("modp3072", "MODP_3072", 15),
    ("modp4096", "MODP_4096", 16),
    ("modp6144", "MODP_6144", 17),
    ("modp8192", "MODP_8192", 18),
    ("ecp256", "ECP_256", 19),
    ("ecp384", "ECP_384", 20),
    ("ecp521", "ECP_521", 21),
    ("modp1024s160", "MODP_1024_160", 22),
    ("modp2048s224", "MODP_2048_224", 23),
    ("modp2048s256", "MODP_2048_256", 24),
    ("ecp192", "ECP_192", 25),
    ("ecp224", "ECP_224", 26),
    ("ecp224bp", "ECP_224_BP", 27),
    ("ecp256bp", "ECP_256_BP", 28),
    ("ecp384bp", "ECP_384_BP", 29),
    ("ecp512bp", "ECP_512_BP", 30),
    ("curve25519", "CURVE_25519", 31),
];

fn group_keyword(group: Group) -> &'static str {
    GROUPS.iter().find(|(_, _, number)| *number == group.number()).map_or("none", |(keyword, _, _)| keyword)
}

/// The name of an algorithm in charon's lists, and which list.
pub(crate) fn group_name(group: Group) -> &'static str {
    GROUPS.iter().find(|(_, _, number)| *number == group.number()).map_or("", |(_, name, _)| name)
}

/// An encryption algorithm's name in charon's lists, without its key length.
pub(crate) fn encryption_name(encryption: Encryption) -> String {
    match encryption {
        Encryption::TripleDes => "3DES_CBC".into(),
        Encryption::AesCbc(_) => "AES_CBC".into(),
        Encryption::AesCtr(_) => "AES_CTR".into(),
        Encryption::AesCcm { icv, .. } => format!("AES_CCM_{icv}"),
        Encryption::AesGcm { icv, .. } => format!("AES_GCM_{icv}"),
    }
}

/// An integrity algorithm's name in charon's lists.
pub(crate) const fn integrity_name(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::Sha1 => "HMAC_SHA1_96",
        Integrity::Sha256 => "HMAC_SHA2_256_128",
        Integrity::Sha384 => "HMAC_SHA2_384_192",
        Integrity::Sha512 => "HMAC_SHA2_512_256",
        Integrity::AesXcbc => "AES_XCBC_96",
        Integrity::AesCmac => "AES_CMAC_96",
    }
}

/// The PRF that goes with an integrity algorithm, by its name in charon's lists.
pub(crate) const fn prf_name(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::Sha1 => "PRF_HMAC_SHA1",
        Integrity::Sha256 => "PRF_HMAC_SHA2_256",
        Integrity::Sha384 => "PRF_HMAC_SHA2_384",
        Integrity::Sha512 => "PRF_HMAC_SHA2_512",
        Integrity::AesXcbc => "PRF_AES128_XCBC",
        Integrity::AesCmac => "PRF_AES128_CMAC",
    }
}

const INTEGRITIES: [Integrity; 6] = [
    Integrity::Sha1,
    Integrity::Sha256,
    Integrity::Sha384,
    Integrity::Sha512,
    Integrity::AesXcbc,
    Integrity::AesCmac,
];

/// A transform in the API's name, from charon's name for it (with its key length behind, as in proposals); charon's
/// own when the API has none. PRFs are left out where an integrity algorithm says the same.
pub(crate) fn transform(name: &str) -> String {
    if let Some((_, _, number)) = GROUPS.iter().find(|(_, own, _)| *own == name) {
        return format!("group{number}");
    }
    let is_integrity =
        |integrity: &&Integrity| integrity_name(**integrity) == name || prf_name(**integrity) == name;
    if let Some(integrity) = INTEGRITIES.iter().find(is_integrity) {
        return integrity.to_string();
    }
    let parts: Vec<&str> = name.split('_').collect();
    match parts.as_slice() {
        ["3DES", "CBC"] => "3des".into(),
        ["AES", "CBC", key] => format!("aes-{key}"),
        ["AES", "CTR", key] => format!("aes-{key}-ctr"),
        ["AES", "CCM", icv, key] => format!("aes-{key}-ccm-{icv}"),
        ["AES", "GCM", icv, key] => format!("aes-{key}-gcm-{icv}"),
        _ => name.to_owned(),
    }
}

/// A whole proposal in the API's names, from charon's form: `IKE:AES_CBC_128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_1536`.
pub(crate) fn proposal(text: &str) -> String {
    let transforms = text.split_once(':').map_or(text, |(_, transforms)| transforms);
    let mut names: Vec<String> = Vec::new();
    for transform in transforms.split('/').filter(|name| *name != "NO_EXT_SEQ").map(self::transform) {
        if !names.contains(&transform) {
            names.push(transform);
        }
    }
    names.join("/")
}

#[cfg(test)]
mod tests {
    use super::{GROUPS, child_proposal, ike_proposal, proposal};
    use karez_engine::{
        ChildPlan, Encryption, Group, IkePlan, IkeVersion, Integrity, IpsecMode, IpsecProtocol,
    };

    fn group(number: u8) -> Group {
        format!("group{number}").parse().unwrap()
    }

    fn child(encryption: &str, protocol: IpsecProtocol) -> ChildPlan {
        ChildPlan {
            protocol,
            mode: IpsecMode::Tunnel,
            encryption: encryption.parse().unwrap(),
            integrity: Integrity::Sha1,
            group: group(5),
            lifetime: 3600,
        }
    }

    #[test]
    fn a_plan_becomes_exactly_one_proposal() {
        let ike = |encryption: &str, integrity| IkePlan {
            version: IkeVersion::V2,
            encryption: encryption.parse().unwrap(),
            integrity,
            group: group(14),
            lifetime: 3600,
        };
        assert_eq!(ike_proposal(&ike("aes-128", Integrity::Sha1)), "aes128-sha1-modp2048");
        assert_eq!(
            ike_proposal(&ike("aes-256-gcm-16", Integrity::Sha384)),
            "aes256gcm128-prfsha384-modp2048"
        );
        assert_eq!(child_proposal(&child("3des", IpsecProtocol::Esp)), "3des-sha1-modp1536");
        assert_eq!(child_proposal(&child("aes-192-ccm-12", IpsecProtocol::Esp)), "aes192ccm96-modp1536");
        assert_eq!(child_proposal(&child("aes-128", IpsecProtocol::Ah)), "sha1-modp1536");
    }

    #[test]
    fn every_group_of_the_api_has_a_keyword() {
        for number in [2, 5].into_iter().chain(14..=31) {
            assert!(GROUPS.iter().any(|(_, _, own)| *own == group(number).number()), "{number}");
        }
    }

    #[test]
    fn proposals_of_the_daemon_read_as_those_of_the_api() {
        let cases = [
            ("IKE:AES_CBC_128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_1536", "aes-128/sha1/group5"),
            ("IKE:AES_GCM_16_256/PRF_HMAC_SHA2_384/ECP_384", "aes-256-gcm-16/sha384/group20"),
            ("ESP:AES_CBC_256/HMAC_SHA2_256_128/NO_EXT_SEQ", "aes-256/sha256"),
            ("ESP:CHACHA20_POLY1305/NO_EXT_SEQ", "CHACHA20_POLY1305"),
        ];
        for (charon, api) in cases {
            assert_eq!(proposal(charon), api);
        }
        assert_eq!("aes-128".parse(), Ok(Encryption::AesCbc(128)));
    }
}
