//! Requests at the same time.

use super::ground::{Ground, addresses, refusal};
use karez_control::{Failure, InterfaceOf};
use karez_model::{Kind, Reason, parse};
use karez_store::{Datum, Error, Tx};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;
use tokio::task::JoinSet;

/// With a limit the creations of a project wait for each other anyway, and nothing would race.
fn unlimited() -> Ground {
    let kinds =
        ["network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule"];
    Ground::with_quotas(&kinds.map(|kind| (kind, -1)))
}

/// Runs so many at the same time; answers all results.
async fn at_once<T, F>(count: usize, work: impl Fn(usize) -> F) -> Vec<Result<T, Failure>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failure>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for number in 0..count {
        tasks.spawn(work(number));
    }
    tasks.join_all().await
}

/// A request to create, by a member.
fn creating(
    ground: &Ground,
    kind: Kind,
    body: Json,
) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
    let (control, member) = (ground.control.clone(), ground.member.clone());
    async move {
        let created = parse::create(kind, body.as_object().expect("an object"))?;
        control.create(&member, kind, vec![created]).await.map(drop)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_ports_at_once_have_sixteen_addresses() {
    let ground = unlimited();
    let network = ground.network().await;
    ground.subnet(&network, "10.0.0.0/28").await;
    ground.subnet(&network, "10.0.1.0/28").await;
    let body = json!({"network_id": network.id()});
    let results = at_once(16, |_| creating(&ground, Kind::Port, body.clone())).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 16);
    let ports = ground.all(Kind::Port, "network_id", network.id()).await;
    let given: BTreeSet<String> = ports.iter().flat_map(addresses).collect();
    assert_eq!(given.len(), 16);
    let groups = ground.all(Kind::SecurityGroup, "project_id", network.project_id()).await;
    assert_eq!(groups.len(), 1, "default groups");
    ground.must_be_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_want_one_address_one_gets_it() {
    let ground = unlimited();
    let network = ground.network().await;
    ground.subnet(&network, "10.0.0.0/28").await;
    ground.port(&network).await;
    let body = json!({"network_id": network.id(), "fixed_ips": [{"ip_address": "10.0.0.9"}]});
    let results = at_once(12, |_| creating(&ground, Kind::Port, body.clone())).await;
    let (done, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1);
    for result in refused {
        assert_eq!(refusal(result), Reason::IpAddressAlreadyAllocated);
    }
    ground.must_be_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_subnets_that_overlap_one_is_made() {
    let ground = unlimited();
    let network = ground.network().await;
    let results = at_once(8, |number| {
        let body = json!({"network_id": network.id(), "cidr": format!("10.0.0.0/{}", 20 + number)});
        creating(&ground, Kind::Subnet, body)
    })
    .await;
    let (done, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1);
    for result in refused {
        assert_eq!(refusal(result), Reason::InvalidInput);
    }
    ground.must_be_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_routers_one_gets_the_gateway_address_of_a_subnet() {
    let ground = unlimited();
    let network = ground.network().await;
    let subnet = ground.subnet(&network, "10.0.0.0/28").await;
    let mut routers = Vec::new();
    for _ in 0..8 {
        routers.push(ground.router(None).await.id().to_owned());
    }
    let results = at_once(8, |number| {
        let (control, member) = (ground.control.clone(), ground.member.clone());
        let (router, of) = (routers[number].clone(), InterfaceOf::Subnet(subnet.id().to_owned()));
        async move { control.add_router_interface(&member, &router, of).await }
    })
    .await;
    let (done, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1);
    for result in refused {
        assert_eq!(refusal(result), Reason::IpAddressAlreadyAllocated);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_network_goes_before_its_ports_come_or_not_at_all() {
    let ground = unlimited();
    for _ in 0..10 {
        let network = ground.network().await;
        ground.subnet(&network, "10.0.0.0/28").await;
        let body = json!({"network_id": network.id()});
        let (control, member) = (ground.control.clone(), ground.member.clone());
        let deleting = {
            let id = network.id().to_owned();
            tokio::spawn(async move { control.delete(&member, Kind::Network, &id).await })
        };
        let created = at_once(3, |_| creating(&ground, Kind::Port, body.clone())).await;
        let is_gone = match deleting.await.expect("no panic") {
            Ok(()) => true,
            refused => {
                assert_eq!(refusal(refused), Reason::NetworkInUse);
                false
            }
        };
        for result in created {
            match result {
                Ok(()) => assert!(!is_gone, "a port of a network that is gone"),
                refused => assert_eq!(refusal(refused), Reason::NetworkNotFound),
            }
        }
    }
    ground.must_be_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_floating_ip_and_the_end_of_its_port_or_interface_agree() {
    let ground = unlimited();
    let outside = ground.outside(&["192.0.2.0/24"]).await;
    for _ in 0..10 {
        let network = ground.network().await;
        let subnet = ground.subnet(&network, "10.0.0.0/28").await;
        let router = ground.router(Some(&outside)).await;
        ground.attach(&router, &subnet).await.expect("attached");
        let port = ground.port(&network).await;
        let body = json!({"floating_network_id": outside.id(), "port_id": port.id()});
        let associating = tokio::spawn(creating(&ground, Kind::FloatingIp, body));
        let (control, member) = (ground.control.clone(), ground.member.clone());
        let deleting = {
            let id = port.id().to_owned();
            tokio::spawn(async move { control.delete(&member, Kind::Port, &id).await })
        };
        let detached = ground.detach(&router, &subnet).await;
        let associated = associating.await.expect("no panic");
        deleting.await.expect("no panic").expect("a port can always be deleted");
        if detached.is_err() {
            assert_eq!(refusal(detached), Reason::RouterInterfaceInUseByFloatingIP);
            assert!(associated.is_ok(), "nothing used the interface");
            ground.detach(&router, &subnet).await.expect("detached");
        }
        for floating in ground.all(Kind::FloatingIp, "floating_network_id", outside.id()).await {
            assert_eq!((floating.opt_text("port_id"), floating.text("status")), (None, "DOWN"));
            ground.delete(Kind::FloatingIp, floating.id()).await.expect("deleted");
        }
        ground.delete(Kind::Router, router.id()).await.expect("deleted");
    }
    ground.must_be_consistent().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_is_not_given_to_a_node_while_a_change_of_it_is_under_way() {
    let ground = Ground::new();
    let router = ground.router(None).await;
    let other = ground.router(None).await;
    ground.place(&other).await;
    let sql = "SELECT node_id FROM placements WHERE router_id = $1";
    let id = other.id().to_owned();
    let row = ground.control.store().read(move |tx| tx.query_opt(sql, &[Datum::from(id.as_str())])).await;
    let node = row.expect("read").expect("a placement").text(0).expect("a node").to_owned();

    let (begun, mut has_begun) = tokio::sync::mpsc::channel(1);
    let (moved, has_moved) = std::sync::mpsc::channel();
    let has_moved = std::sync::Mutex::new(has_moved);
    let (control, id) = (ground.control.clone(), router.id().to_owned());
    // The change gives the move every chance to come first, and says whether it did.
    let change = tokio::spawn(async move {
        let change = move |tx: &mut Tx<'_>| {
            tx.bump_router(&id)?;
            let _ = begun.try_send(());
            let waited = has_moved.lock().expect("not poisoned").recv_timeout(Duration::from_millis(500));
            Ok::<_, Error>(waited.is_ok())
        };
        control.store().write(change).await.expect("written")
    });
    has_begun.recv().await.expect("begun");
    ground.control.place_router(&ground.admin, &node, router.id()).await.expect("placed");
    let _ = moved.send(());
    assert!(!change.await.expect("no panic"), "the move was done before the change was");
}
