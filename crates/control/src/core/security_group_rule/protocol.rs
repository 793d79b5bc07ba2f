//! The protocol of a rule, and what a port range means with it.

use crate::Failure;
use karez_model::parse::clip;
use karez_model::{Object, Reason};

/// Names that Neutron knows, with the numbers of the IANA registry.
const NAMES: [(&str, u8); 23] = [
    ("ah", 51),
    ("dccp", 33),
    ("egp", 8),
    ("esp", 50),
    ("gre", 47),
    ("icmp", 1),
    ("icmpv6", 58),
    ("igmp", 2),
    ("ipip", 4),
    ("ipv6-encap", 41),
    ("ipv6-frag", 44),
    ("ipv6-icmp", 58),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("ipv6-route", 43),
    ("ospf", 89),
    ("pgm", 113),
    ("rsvp", 46),
    ("sctp", 132),
    ("tcp", 6),
    ("udp", 17),
    ("udplite", 136),
    ("vrrp", 112),
];

/// What a port range means for a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Every protocol; there are no ports.
    Any,
    /// First and last port.
    Ports,
    /// Type and code of ICMP.
    Icmp,
    /// There are no ports.
    Portless,
}

/// The number of a protocol that is given by name or number; none for any protocol, and for what
/// is no protocol.
pub(super) fn number(given: Option<&str>) -> Option<u8> {
    let given = given?;
    let named = NAMES.iter().find(|(name, _)| *name == given).map(|(_, number)| *number);
    named.or_else(|| given.parse().ok())
}

impl Protocol {
    /// The protocol of a rule, which must be one that exists and that its IP version has.
    pub(super) fn of(rule: &Object) -> Result<Self, Failure> {
        let given = match rule.json("protocol").as_str() {
            None | Some("any") => return Ok(Self::Any),
            Some(given) => given,
        };
        let Some(number) = number(Some(given)) else {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            let message = format!(
                "protocol is '{}'; it must be a number from 0 to 255, any, or one of {}",
                clip(given),
                names.join(", ")
            );
            return Err(Failure::fault(Reason::SecurityGroupRuleInvalidProtocol, message));
        };
        if (given.starts_with("ipv6-") || given == "icmpv6") && !super::is_v6(rule) {
            let message = format!("protocol is {given}, which needs the ethertype IPv6");
            return Err(Failure::fault(Reason::SecurityGroupRuleParameterConflict, message));
        }
        Ok(match number {
            6 | 17 | 33 | 132 | 136 => Self::Ports,
            1 | 58 => Self::Icmp,
            _ => Self::Portless,
        })
    }

    /// Checks the port range of a rule of this protocol.
    pub(super) fn check(self, rule: &Object) -> Result<(), Failure> {
        let (min, max) = (rule.opt_int("port_range_min"), rule.opt_int("port_range_max"));
        match (self, min, max) {
            (_, None, None) => Ok(()),
            (Self::Any, _, _) => {
                let message = "port_range_min and port_range_max need a protocol that has ports";
                Err(Failure::fault(Reason::SecurityGroupInvalidProtocolForPort, message))
            }
            (Self::Portless, _, _) => {
                let given = rule.json("protocol").as_str().unwrap_or_default();
                let message = format!("protocol is {given}, which has no ports");
                Err(Failure::fault(Reason::SecurityGroupInvalidProtocolForPort, message))
            }
            (Self::Ports, Some(min), Some(max)) if 1 <= min && min <= max => Ok(()),
            (Self::Ports, _, _) => Err(invalid(
                min,
                max,
                "ports from 1 to 65535 are needed in both, and the first not above the last",
            )),
            (Self::Icmp, Some(ty), code) if ty <= 255 && code.unwrap_or_default() <= 255 => Ok(()),
            (Self::Icmp, _, _) => Err(invalid(
                min,
                max,
                "they are type and code of ICMP, from 0 to 255, and a code needs a type",
            )),
        }
    }
}

fn invalid(min: Option<i64>, max: Option<i64>, why: &str) -> Failure {
    let shown = |port: Option<i64>| port.map_or("not given".to_owned(), |port| port.to_string());
    let message = format!("port_range_min is {} and port_range_max is {}; {why}", shown(min), shown(max));
    Failure::fault(Reason::SecurityGroupInvalidPortRange, message)
}
