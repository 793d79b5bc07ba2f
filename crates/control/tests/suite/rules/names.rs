//! Host names of peers: who may have them looked up, and how many.

use super::site::{Site, connection};
use karez_control::{Control, Failure};
use karez_model::{Caller, Kind, Object, Reason, Scope, parse};
use serde_json::json;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// A resolver that answers nobody before it is told to.
#[derive(Default)]
struct Silent {
    asked: AtomicUsize,
    is_released: Mutex<bool>,
    release: Condvar,
}

impl Silent {
    fn lookup(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let released = self.is_released.lock().expect("no panic");
        drop(self.release.wait_while(released, |is_released| !*is_released));
        Ok(vec![[192, 0, 2, 99].into()])
    }

    fn release(&self) {
        *self.is_released.lock().expect("no panic") = true;
        self.release.notify_all();
    }

    async fn has_been_asked(&self, times: usize) {
        while self.asked.load(Ordering::SeqCst) < times {
            tokio::task::yield_now().await;
        }
    }
}

async fn rename(
    control: &Control,
    who: &Arc<Caller>,
    connection: &Object,
    name: &str,
) -> Result<Object, Failure> {
    let body = json!({"peer_address": name});
    let updated = parse::update(Kind::IpsecSiteConnection, body.as_object().expect("an object"))?;
    control.update(who, Kind::IpsecSiteConnection, connection.id(), updated).await
}

fn reason(result: Result<Object, Failure>) -> Reason {
    match result {
        Err(Failure::Fault(fault)) => fault.reason,
        other => panic!("{:?}", other.map(|object| object.id().to_owned())),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_a_name_looked_up_who_may_not_set_it() {
    let site = Site::new().await;
    let silent = Arc::new(Silent::default());
    let asked = Arc::clone(&silent);
    let control = site.ground.control.clone().resolving_by(move |name| asked.lookup(name));
    let project = Scope::Project(site.ground.member.project_id().expect("a project").to_owned());
    let reader =
        Arc::new(Caller { scope: project, roles: vec!["reader".into()], ..(*site.ground.member).clone() });
    let refused = rename(&control, &reader, &site.connection, "gw.example.net").await;
    assert_eq!(reason(refused), Reason::PolicyNotAuthorized);
    let unseen = rename(&control, &site.ground.stranger, &site.connection, "gw.example.net").await;
    assert_eq!(reason(unseen), Reason::IPsecSiteConnectionNotFound);
    assert_eq!(silent.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lookups_of_one_project_are_bounded_and_leave_others_room() {
    let site = Site::new().await;
    let silent = Arc::new(Silent::default());
    let asked = Arc::clone(&silent);
    let control = site.ground.control.clone().resolving_by(move |name| asked.lookup(name));
    let rename = |name: &'static str| {
        let (control, member, connection) =
            (control.clone(), Arc::clone(&site.ground.member), site.connection.clone());
        async move { rename(&control, &member, &connection, name).await }
    };
    let under_way: Vec<_> = (0..8).map(|_| tokio::spawn(rename("gw.example.net"))).collect();
    silent.has_been_asked(8).await;
    assert_eq!(reason(rename("other.example.net").await), Reason::ServiceUnavailable);
    // An address needs nobody.
    assert!(rename("192.0.2.98").await.is_ok());
    // Another project's is begun at once.
    let body = connection(&site.service, &site.ike, &site.ipsec, json!({"peer_address": "gw.example.org"}));
    let created =
        parse::create(Kind::IpsecSiteConnection, body.as_object().expect("an object")).expect("parsed");
    let (control, stranger) = (control.clone(), Arc::clone(&site.ground.stranger));
    let elsewhere =
        tokio::spawn(
            async move { control.create(&stranger, Kind::IpsecSiteConnection, vec![created]).await },
        );
    silent.has_been_asked(9).await;
    silent.release();
    for task in under_way {
        task.await.expect("no panic").expect("changed");
    }
    let elsewhere = elsewhere.await.expect("no panic").map(|mut objects| objects.remove(0));
    assert_eq!(reason(elsewhere), Reason::IPsecPolicyNotFound);
    assert!(rename("other.example.net").await.is_ok(), "there is room again");
}
