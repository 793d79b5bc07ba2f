//! The state of a connection, as its sub-resource `status` tells it.

use serde_json::Value as Json;

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
}
