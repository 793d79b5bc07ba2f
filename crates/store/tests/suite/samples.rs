//! Objects with a value in every attribute.

use super::ground::Ground;
use karez_model::{Attribute, Kind, Object, Secret, Type, Value};
use serde_json::{Map, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Kinds that are rows of a table of their own, each after those that it refers to.
pub const KINDS: [Kind; 14] = [
    Kind::Network,
    Kind::Subnet,
    Kind::Port,
    Kind::Router,
    Kind::FloatingIp,
    Kind::SecurityGroup,
    Kind::SecurityGroupRule,
    Kind::Flavor,
    Kind::ServiceProfile,
    Kind::IkePolicy,
    Kind::IpsecPolicy,
    Kind::VpnService,
    Kind::EndpointGroup,
    Kind::IpsecSiteConnection,
];

/// Objects that others can refer to, by their kind.
#[derive(Clone, Default)]
pub struct Known(BTreeMap<&'static str, String>);

impl Known {
    /// Stores one object of every kind and remembers it.
    pub fn of_every_kind(ground: &Ground) -> Self {
        let mut known = Self::default();
        for kind in KINDS {
            let object = ground.insert(&known.sample(kind, 1));
            known.remember(&object);
        }
        known
    }

    pub fn remember(&mut self, object: &Object) {
        self.0.insert(object.resource().member, object.id().to_owned());
    }

    pub fn id(&self, kind: Kind) -> &str {
        &self.0[kind.resource().member]
    }

    /// An object without null. Another `variant` has other values.
    pub fn sample(&self, kind: Kind, variant: u64) -> Object {
        let mut object = Object::empty(kind);
        for attribute in kind.resource().attributes {
            object.set(attribute.name, self.value(attribute, variant));
        }
        object
    }

    fn value(&self, attribute: &Attribute, variant: u64) -> Value {
        let text = |most: usize| -> String {
            format!("{} {variant} ß✓ '\"\\ %_$1 ;--\n", attribute.name).chars().take(most).collect()
        };
        let nested = || json!({"in": [{"deep": text(99), "null": null, "number": -7.5}], "variant": variant});
        match attribute.ty {
            Type::Uuid => Value::from(self.reference(attribute.name)),
            Type::Name(most) | Type::Text(most) | Type::Line(most) => Value::from(text(most)),
            Type::Secret(..) => Value::Secret(Secret::new(text(255))),
            Type::Enum(words) => Value::from(words[variant as usize % words.len()]),
            Type::Bool => Value::from(variant % 2 == 1),
            Type::Int(least, most) => Value::from(if variant % 2 == 1 { most } else { least }),
            Type::Time => Value::from(1_700_000_000_000_000_i64),
            Type::Address => Value::from(format!("192.0.2.{variant}")),
            Type::Cidr => Value::from(format!("10.{variant}.0.0/16")),
            Type::Mac => Value::from(format!("fa:16:3e:00:00:{variant:02x}")),
            Type::Cidrs | Type::Texts => Value::Json(json!([text(20), "10.1.0.0/16", "2001:db8::/32"])),
            Type::Object(fields) => {
                let fields: Map<_, _> =
                    fields.iter().map(|field| (field.name.to_owned(), json!(variant))).collect();
                Value::Json(fields.into())
            }
            Type::Anything | Type::Custom(..) | Type::Derived => Value::Json(nested()),
        }
    }

    /// The object that an attribute refers to, or a fresh id.
    fn reference(&self, name: &str) -> String {
        let member = match name {
            "floating_network_id" => "network",
            "remote_group_id" => "security_group",
            "local_ep_group_id" | "peer_ep_group_id" => "endpoint_group",
            name => name.strip_suffix("_id").unwrap_or(name),
        };
        self.0.get(member).cloned().unwrap_or_else(|| Uuid::new_v4().to_string())
    }
}

/// An IKE policy with this name.
pub fn policy(name: &str) -> Object {
    let mut object = Known::default().sample(Kind::IkePolicy, 1);
    object.set("name", name);
    object
}
