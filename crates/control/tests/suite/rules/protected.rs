//! What an operator keeps from tenants is neither a peer nor a peer's network.

use super::ground::PROTECTED;
use super::site::Site;
use karez_control::Failure;
use serde_json::json;

#[tokio::test]
async fn a_network_within_a_protected_one_is_refused_without_naming_it_and_a_wider_one_taken() {
    let site = Site::new().await;
    for cidr in ["10.255.0.0/16", "10.255.7.0/24", "10.255.0.1/32"] {
        let refused = site.try_to_connect(json!({"peer_cidrs": ["10.60.0.0/24", cidr]})).await;
        let Err(Failure::Fault(fault)) = refused else { panic!("{cidr} is taken") };
        let message = &fault.message;
        assert!(message.contains(cidr) && message.contains("no tunnel may lead"), "{message}");
        assert!(cidr == PROTECTED || !message.contains(PROTECTED), "{message}");
    }
    site.try_to_connect(json!({"peer_cidrs": ["10.0.0.0/8"]})).await.expect("taken");
}

#[tokio::test]
async fn a_peer_in_a_protected_network_is_refused() {
    let site = Site::new().await;
    let refused =
        site.try_to_connect(json!({"peer_cidrs": ["10.61.0.0/24"], "peer_address": "10.255.3.3"})).await;
    let Err(Failure::Fault(fault)) = refused else { panic!("it is taken") };
    assert!(fault.message.contains("10.255.3.3"), "{}", fault.message);
}
