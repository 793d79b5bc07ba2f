//! What is asked of a connection beyond the API's defaults.

use serde_json::{Value as Json, json};

/// Attributes of the three objects that differ from the API's defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wish {
    ike: Option<Json>,
    ipsec: Option<Json>,
    connection: Option<Json>,
}

impl Wish {
    /// The API's defaults: IKEv1, AES-128, SHA-1, group 5.
    #[must_use]
    pub fn defaults() -> Self {
        Self::default()
    }

    /// What one takes today: IKEv2, AES-256, SHA-256, group 14.
    #[must_use]
    pub fn modern() -> Self {
        let strong = json!({"encryption_algorithm": "aes-256", "auth_algorithm": "sha256", "pfs": "group14"});
        Self::default().ike(&strong).ike(&json!({"ike_version": "v2"})).ipsec(&strong)
    }

    /// With these attributes of the IKE policy.
    #[must_use]
    pub fn ike(self, attributes: &Json) -> Self {
        Self { ike: Some(with(self.ike, attributes)), ..self }
    }

    /// With these attributes of the IPsec policy.
    #[must_use]
    pub fn ipsec(self, attributes: &Json) -> Self {
        Self { ipsec: Some(with(self.ipsec, attributes)), ..self }
    }

    /// With these attributes of the connection.
    #[must_use]
    pub fn connection_with(self, attributes: &Json) -> Self {
        Self { connection: Some(with(self.connection, attributes)), ..self }
    }

    pub(super) fn ike_policy(&self) -> Json {
        with(Some(json!({"name": "ike"})), &or_none(self.ike.as_ref()))
    }

    pub(super) fn ipsec_policy(&self) -> Json {
        with(Some(json!({"name": "ipsec"})), &or_none(self.ipsec.as_ref()))
    }

    pub(super) fn connection(&self) -> Json {
        or_none(self.connection.as_ref())
    }
}

fn or_none(attributes: Option<&Json>) -> Json {
    attributes.cloned().unwrap_or_else(|| json!({}))
}

fn with(before: Option<Json>, attributes: &Json) -> Json {
    let mut merged = before.unwrap_or_else(|| json!({}));
    merge(&mut merged, attributes);
    merged
}

/// Adds the attributes of one object to those of another.
pub(super) fn merge(into: &mut Json, attributes: &Json) {
    if let (Some(into), Some(attributes)) = (into.as_object_mut(), attributes.as_object()) {
        into.extend(attributes.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_wish_replaces_an_earlier_one() {
        let wish = Wish::modern().ike(&json!({"pfs": "group19"}));
        let policy = wish.ike_policy();
        assert_eq!((&policy["pfs"], &policy["ike_version"]), (&json!("group19"), &json!("v2")));
        assert_eq!(wish.ipsec_policy()["pfs"], "group14");
        assert_eq!(Wish::defaults().connection(), json!({}));
    }
}
