//! What this daemon on this machine cannot do, and what it could do instead.

use crate::suite::{encryption_name, group_name, integrity_name, prf_name};
use crate::vici::Message;
use karez_engine::{
    Bounds, Code, Datapath, Encryption, Identity, IkeVersion, Integrity, IpsecMode, IpsecProtocol, Peer,
    Reason, TunnelPlan,
};
use std::collections::BTreeSet;

/// What the daemon's plugins offer, as it tells itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Algorithms {
    names: BTreeSet<(String, String)>,
}

impl Algorithms {
    /// Reads the answer to `get-algorithms`.
    pub(crate) fn read(answer: &Message) -> Self {
        let mut names = BTreeSet::new();
        for (kind, list) in answer.sections() {
            names.extend(list.text_keys().map(|name| (kind.to_owned(), name.to_owned())));
        }
        Self { names }
    }

    fn has(&self, kind: &str, name: &str) -> bool {
        self.names.contains(&(kind.to_owned(), name.to_owned()))
    }

    fn has_encryption(&self, encryption: Encryption) -> bool {
        let kind = if encryption.is_aead() { "aead" } else { "encryption" };
        self.has(kind, &encryption_name(encryption))
    }
}

/// Why a plan cannot be done here; none when it can.
pub(crate) fn obstacle(
    plan: &TunnelPlan,
    bounds: &Bounds,
    algorithms: &Algorithms,
    datapath: Datapath,
) -> Option<Reason> {
    let why = nonsense(plan)
        .or_else(|| bounds.obstacle(plan))
        .or_else(|| shape(plan, datapath))
        .or_else(|| ikev1(plan))
        .or_else(|| missing(plan, algorithms, datapath))?;
    Some(Reason::new(Code::Unsupported, why))
}

/// What no engine could do.
fn nonsense(plan: &TunnelPlan) -> Option<String> {
    if plan.psk.expose().is_empty() {
        return Some(
            "The pre-shared key is empty, and an empty key proves nothing. Set one on both sides.".into(),
        );
    }
    if let Identity::Fqdn(name) | Identity::Email(name) = &plan.peer_id
        && name.starts_with('*')
    {
        return Some(format!(
            "The peer id {name} would let in any peer whose identity ends so. Give the one that the peer has."
        ));
    }
    None
}

/// What the data path cannot do.
fn shape(plan: &TunnelPlan, datapath: Datapath) -> Option<String> {
    let (protocol, mode) = (plan.child.protocol, plan.child.mode);
    if datapath == Datapath::Userspace {
        if protocol == IpsecProtocol::Ah {
            return Some(needs_kernel("AH", "the transform protocol esp"));
        }
        if mode == IpsecMode::Transport {
            return Some(needs_kernel("Transport mode", "the encapsulation mode tunnel"));
        }
    }
    if mode == IpsecMode::Transport && !is_between_hosts(plan) {
        let message = "Transport mode protects only packets between the two gateways themselves, and the subnets of \
                       this connection are others. Use the encapsulation mode tunnel.";
        return Some(message.into());
    }
    None
}

fn needs_kernel(what: &str, instead: &str) -> String {
    format!(
        "{what} needs a kernel with IPsec, and this node's kernel has none. Use {instead}, or another node."
    )
}

fn is_between_hosts(plan: &TunnelPlan) -> bool {
    let local = plan.local_subnets.iter().all(|net| *net == plan.local.into());
    let peer = match plan.peer {
        Peer::Address(address) => plan.peer_subnets.iter().all(|net| *net == address.into()),
        Peer::Host(_) => false,
    };
    local && peer
}

/// What IKEv1 has no numbers for (IANA registry "Internet Key Exchange (IKE) Attributes").
fn ikev1(plan: &TunnelPlan) -> Option<String> {
    if plan.ike.version == IkeVersion::V2 {
        return None;
    }
    if !matches!(plan.ike.encryption, Encryption::TripleDes | Encryption::AesCbc(_)) {
        let name = plan.ike.encryption;
        return Some(format!(
            "IKEv1 cannot use {name} for IKE itself. Use aes-128, aes-192 or aes-256, or IKEv2."
        ));
    }
    if matches!(plan.ike.integrity, Integrity::AesXcbc | Integrity::AesCmac) {
        let name = plan.ike.integrity;
        return Some(format!("IKEv1 cannot use {name} for IKE itself. Use one of sha1 to sha512, or IKEv2."));
    }
    let uses_integrity = plan.child.protocol == IpsecProtocol::Ah || !plan.child.encryption.is_aead();
    if uses_integrity && plan.child.integrity == Integrity::AesCmac {
        return Some(
            "IKEv1 cannot use aes-cmac for IPsec. Use one of sha1 to sha512 or aes-xcbc, or IKEv2.".into(),
        );
    }
    None
}

/// What no plugin of the daemon offers.
fn missing(plan: &TunnelPlan, algorithms: &Algorithms, datapath: Datapath) -> Option<String> {
    let (ike, child) = (&plan.ike, &plan.child);
    let lacks_ike_integrity =
        !ike.encryption.is_aead() && !algorithms.has("integrity", integrity_name(ike.integrity));
    // With the kernel's data path, it is for the kernel to know; what it lacks shows when an SA is installed.
    let is_ours = datapath == Datapath::Userspace && child.protocol == IpsecProtocol::Esp;
    let lacks_child_integrity = is_ours
        && !child.encryption.is_aead()
        && !algorithms.has("integrity", integrity_name(child.integrity));
    let absent = if !algorithms.has_encryption(ike.encryption) {
        ike.encryption.to_string()
    } else if lacks_ike_integrity || !algorithms.has("prf", prf_name(ike.integrity)) {
        ike.integrity.to_string()
    } else if !algorithms.has("dh", group_name(ike.group)) {
        ike.group.to_string()
    } else if !algorithms.has("dh", group_name(child.group)) {
        child.group.to_string()
    } else if is_ours && !algorithms.has_encryption(child.encryption) {
        child.encryption.to_string()
    } else if lacks_child_integrity {
        child.integrity.to_string()
    } else {
        return None;
    };
    Some(format!(
        "The IKE daemon of this node cannot do {absent}. Choose another algorithm, or install the daemon's plugin for \
         it (packages libstrongswan-standard-plugins, libstrongswan-extra-plugins)."
    ))
}
