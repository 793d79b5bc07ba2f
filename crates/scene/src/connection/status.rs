//! The state of a connection, as its sub-resource `status` tells it.

use serde_json::Value as Json;
use std::collections::BTreeSet;

/// The state of a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Status(pub Json);

impl Status {
    /// Why it is not up, in the API's closed vocabulary.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.0["reason"]["code"].as_str()
    }

    /// The negotiated suite of the IKE SA.
    #[must_use]
    pub fn ike_suite(&self) -> Option<&str> {
        self.0["ike"]["suite"].as_str()
    }

    /// The child SAs.
    #[must_use]
    pub fn children(&self) -> &[Json] {
        self.0["children"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Their SPIs, inbound and outbound.
    #[must_use]
    pub fn spis(&self) -> Vec<(&str, &str)> {
        self.children()
            .iter()
            .filter_map(|child| Some((child["spi_in"].as_str()?, child["spi_out"].as_str()?)))
            .collect()
    }

    /// Whether this is what the other end of the same child SAs shows; in whatever order, and not of none.
    #[must_use]
    pub fn mirrors(&self, other: &Self) -> bool {
        let (mut own, other) = (self.spis(), other.spis());
        let mut crossed: Vec<_> = other.into_iter().map(|(inbound, outbound)| (outbound, inbound)).collect();
        own.sort_unstable();
        crossed.sort_unstable();
        !own.is_empty() && own == crossed
    }

    /// Whether no two child SAs are for the same subnets. While both ends have begun at once there are two of each, and
    /// what is on its way may be lost with the one that goes.
    #[must_use]
    pub fn has_each_child_once(&self) -> bool {
        let selectors = |child| -> [Vec<&str>; 2] {
            let child: &Json = child;
            [sorted(&child["local_subnets"]), sorted(&child["peer_subnets"])]
        };
        let mut seen = BTreeSet::new();
        self.children().iter().all(|child| seen.insert(selectors(child)))
    }

    /// Whether this and the other end are done with negotiating: they have the same SAs, and no more than it takes.
    #[must_use]
    pub fn has_settled_with(&self, other: &Self) -> bool {
        let ends = [self, other];
        ends.iter().all(|end| end.0["status"] == "ACTIVE" && end.has_each_child_once())
            && self.mirrors(other)
            && self.ike_suite() == other.ike_suite()
    }
}

fn sorted(texts: &Json) -> Vec<&str> {
    let texts = texts.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut texts: Vec<&str> = texts.iter().filter_map(Json::as_str).collect();
    texts.sort_unstable();
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// An end with these child SAs: local subnet, SPI in and SPI out.
    fn end(children: &[(&str, &str, &str)]) -> Status {
        let child = |(subnet, spi_in, spi_out): &(&str, &str, &str)| json!({"local_subnets": [subnet], "peer_subnets": ["p"], "spi_in": spi_in, "spi_out": spi_out});
        let children: Vec<Json> = children.iter().map(child).collect();
        Status(json!({"status": "ACTIVE", "ike": {"suite": "s"}, "children": children}))
    }

    #[test]
    fn ends_with_the_same_sas_have_settled_in_whatever_order_they_show_them() {
        let one = end(&[("a", "1", "2"), ("b", "3", "4")]);
        assert!(one.has_settled_with(&end(&[("b", "4", "3"), ("a", "2", "1")])));
        assert!(!one.has_settled_with(&end(&[("a", "2", "1"), ("b", "4", "5")])));
        assert!(!one.has_settled_with(&end(&[("a", "2", "1")])));
        assert!(!end(&[]).has_settled_with(&end(&[])));
    }

    #[test]
    fn ends_that_have_two_sas_for_the_same_subnets_have_not_settled() {
        let (one, two) = (end(&[("a", "1", "2"), ("a", "3", "4")]), end(&[("a", "2", "1"), ("a", "4", "3")]));
        assert!(one.mirrors(&two) && !one.has_settled_with(&two));
    }

    #[test]
    fn ends_that_tell_of_different_suites_have_not_settled() {
        let (one, mut two) = (end(&[("a", "1", "2")]), end(&[("a", "2", "1")]));
        assert!(one.has_settled_with(&two));
        two.0["ike"]["suite"] = json!("another");
        assert!(!one.has_settled_with(&two));
    }
}
