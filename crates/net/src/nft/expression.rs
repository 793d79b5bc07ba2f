//! The words of nftables that the rules here need, in its JSON.

use nftables::expr::{Expression, Meta, MetaKey, NamedExpression, Payload, PayloadField, Prefix, TcpOption};
use nftables::stmt::{Match, Operator, Statement};

use ipnet::IpNet;

/// An address family, as far as rules have to be written for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn protocol(self) -> &'static str {
        match self {
            Self::V4 => "ip",
            Self::V6 => "ip6",
        }
    }
}

pub(super) type Words = Expression<'static>;

pub(super) fn text(text: impl Into<String>) -> Words {
    Expression::String(text.into().into())
}

pub(super) fn meta(key: MetaKey) -> Words {
    Expression::Named(NamedExpression::Meta(Meta { key }))
}

pub(super) fn address(family: Family, field: &'static str) -> Words {
    payload(family.protocol(), field)
}

pub(super) fn payload(protocol: &'static str, field: &'static str) -> Words {
    let field = PayloadField { protocol: protocol.into(), field: field.into() };
    Expression::Named(NamedExpression::Payload(Payload::PayloadField(field)))
}

pub(super) fn concatenation(words: impl Into<Vec<Words>>) -> Words {
    Expression::Named(NamedExpression::Concat(words.into()))
}

pub(super) fn network(net: IpNet) -> Words {
    let addr = Box::new(text(net.addr().to_string()));
    Expression::Named(NamedExpression::Prefix(Prefix { addr, len: u32::from(net.prefix_len()) }))
}

pub(super) fn segment_size() -> Words {
    let option = TcpOption { name: "maxseg".into(), field: Some("size".into()) };
    Expression::Named(NamedExpression::TcpOption(option))
}

pub(super) fn is(left: Words, right: Words) -> Statement<'static> {
    compare(left, Operator::EQ, right)
}

pub(super) fn is_not(left: Words, right: Words) -> Statement<'static> {
    compare(left, Operator::NEQ, right)
}

pub(super) fn compare(left: Words, op: Operator, right: Words) -> Statement<'static> {
    Statement::Match(Match { left, right, op })
}
