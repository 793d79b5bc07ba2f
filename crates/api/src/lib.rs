//! Neutron's dialect over HTTP: URLs, envelopes, filters, paging, error bodies, and the document
//! that describes them. Knows no SQL and no agent.

mod addresses;
mod answer;
mod connection_status;
mod core_actions;
mod dispatch;
mod error;
mod extensions;
mod listing;
mod metrics;
mod openapi;
mod patience;
mod quotas;
mod ready;
mod render;
mod request;
mod resources;
mod server;
mod shares;
mod tags;
mod target;
mod tls;
mod versions;
mod waiting;

pub use dispatch::{Api, Options};
pub use openapi::document as openapi_document;
pub use server::{Limits, Server};
pub use tls::Tls;
pub use waiting::wait;
