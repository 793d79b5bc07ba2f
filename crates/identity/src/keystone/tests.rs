//! The client against a Keystone of ours on loopback, with a clock of ours.

mod fake;

use super::*;
use crate::embedded::{Embedded, Options as EmbeddedOptions};
use fake::{Fake, Mode, START};
use http::{HeaderName, HeaderValue};
use karez_model::Scope;
use std::sync::atomic::Ordering;

fn options(auth_url: String, clock: &Clock) -> Options {
    Options {
        auth_url,
        username: "karez".to_owned(),
        password: Secret::new(fake::PASSWORD.to_owned()),
        user_domain_name: "Default".to_owned(),
        project_name: "service".to_owned(),
        project_domain_name: "Default".to_owned(),
        cache_life: Duration::from_secs(60),
        cached_tokens: 100,
        timeout: Duration::from_secs(10),
        ca_certificate: None,
        clock: clock.clone(),
    }
}

struct Bed {
    fake: Fake,
    clock: Clock,
    keystone: Arc<Keystone>,
}

impl Bed {
    async fn new() -> Self {
        let (fake, clock) = (Fake::start().await, Clock::manual(START));
        let keystone = Arc::new(Keystone::new(options(fake.url(), &clock)).unwrap());
        Self { fake, clock, keystone }
    }

    async fn ask(&self, token: &str) -> Result<Arc<Caller>, Denied> {
        ask(&self.keystone, token).await
    }

    fn questions(&self) -> usize {
        self.fake.state.questions.load(Ordering::SeqCst)
    }

    fn logins(&self) -> usize {
        self.fake.state.logins.load(Ordering::SeqCst)
    }
}

async fn ask(keystone: &Keystone, token: &str) -> Result<Arc<Caller>, Denied> {
    let value = HeaderValue::from_str(token).unwrap();
    keystone.authenticate(&HeaderMap::from_iter([(HeaderName::from_static("x-auth-token"), value)])).await
}

fn is_unavailable(result: &Result<Arc<Caller>, Denied>) -> bool {
    matches!(result, Err(Denied::Unavailable(_)))
}

fn is_unauthorized(result: &Result<Arc<Caller>, Denied>) -> bool {
    matches!(result, Err(Denied::Unauthorized(_)))
}

#[tokio::test]
async fn a_valid_token_is_asked_about_once_a_minute() {
    let bed = Bed::new().await;
    let caller = bed.ask("good").await.unwrap();
    assert_eq!((caller.user_id.as_str(), caller.project_id()), ("user of good", Some("project of good")));
    bed.clock.advance(Duration::from_secs(59));
    assert_eq!(bed.ask("good").await.unwrap(), caller);
    assert_eq!((bed.questions(), bed.logins()), (1, 1));
    bed.clock.advance(Duration::from_secs(1));
    assert_eq!(bed.ask("good").await.unwrap(), caller);
    assert_eq!((bed.questions(), bed.logins()), (2, 1));
}

#[tokio::test]
async fn the_cache_does_not_outlive_the_token() {
    let bed = Bed::new().await;
    assert!(bed.ask("good for 30 s").await.is_ok());
    bed.clock.advance(Duration::from_secs(29));
    assert!(bed.ask("good for 30 s").await.is_ok());
    bed.fake.set(Mode::AllTokensGone);
    bed.clock.advance(Duration::from_secs(1));
    assert!(is_unauthorized(&bed.ask("good for 30 s").await));
}

#[tokio::test]
async fn a_token_that_is_not_valid_is_remembered_briefly() {
    let bed = Bed::new().await;
    for _ in 0..3 {
        assert!(is_unauthorized(&bed.ask("bad").await));
    }
    assert_eq!(bed.questions(), 1);
    bed.clock.advance(Duration::from_secs(5));
    assert!(is_unauthorized(&bed.ask("bad").await));
    assert_eq!(bed.questions(), 2);
}

#[tokio::test]
async fn no_token_is_no_question() {
    let bed = Bed::new().await;
    assert!(is_unauthorized(&bed.keystone.authenticate(&HeaderMap::new()).await));
    assert!(is_unauthorized(&bed.ask(&"x".repeat(8193)).await));
    assert_eq!((bed.questions(), bed.logins()), (0, 0));
}

#[tokio::test]
async fn the_url_is_taken_with_and_without_the_version() {
    let bed = Bed::new().await;
    for suffix in ["", "/", "/v3", "/v3/"] {
        let url = format!("{}{suffix}", bed.fake.url());
        let keystone = Keystone::new(options(url.clone(), &bed.clock)).unwrap();
        assert!(ask(&keystone, "good").await.is_ok(), "{url}");
        assert_eq!(keystone.www_authenticate(&HeaderMap::new()), Some(format!("Keystone uri=\"{url}\"")));
    }
    for wrong in ["", "keystone:5000", "ftp://keystone", "http://keystone?x=y"] {
        assert!(Keystone::new(options(wrong.to_owned(), &bed.clock)).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn when_keystone_is_away_what_is_known_works_until_its_time_is_over() {
    let mut bed = Bed::new().await;
    assert!(bed.ask("good").await.is_ok());
    bed.fake.stop().await;
    assert!(bed.ask("good").await.is_ok());
    assert!(is_unavailable(&bed.ask("other").await));
    bed.clock.advance(Duration::from_secs(60));
    assert!(is_unavailable(&bed.ask("good").await));
}

#[tokio::test]
async fn when_keystone_is_back_it_is_asked_again() {
    let bed = Bed::new().await;
    for mode in [Mode::Broken, Mode::Forbidding, Mode::Babbling] {
        bed.fake.set(mode);
        assert!(is_unavailable(&bed.ask("good").await), "{mode:?}");
        bed.fake.set(Mode::Normal);
        assert!(is_unavailable(&bed.ask("good").await), "{mode:?}: remembered for a second");
        bed.clock.advance(Duration::from_secs(1));
        assert!(bed.ask("good").await.is_ok(), "{mode:?}");
        bed.clock.advance(Duration::from_secs(60));
    }
}

#[tokio::test]
async fn a_keystone_that_does_not_answer_is_not_waited_for() {
    let (fake, clock) = (Fake::start().await, Clock::manual(START));
    let options = Options { timeout: Duration::from_millis(200), ..options(fake.url(), &clock) };
    let keystone = Keystone::new(options).unwrap();
    fake.set(Mode::Silent);
    let answer = tokio::time::timeout(Duration::from_secs(10), ask(&keystone, "good")).await.unwrap();
    assert!(is_unavailable(&answer));
}

#[tokio::test]
async fn many_who_ask_about_one_token_are_one_question() {
    let bed = Bed::new().await;
    assert!(bed.ask("warm up").await.is_ok());
    bed.fake.set(Mode::Silent);
    let asking = (0..50).map(|_| {
        let keystone = Arc::clone(&bed.keystone);
        tokio::spawn(async move { ask(&keystone, "good").await })
    });
    let asking: Vec<_> = asking.collect();
    // One thread polls the tasks in turn, so all have asked when the question has arrived.
    bed.fake.until(|fake| fake.questions.load(Ordering::SeqCst) == 2).await;
    bed.fake.set(Mode::Normal);
    for task in asking {
        assert!(task.await.unwrap().is_ok());
    }
    assert_eq!(bed.questions(), 2);
}

#[tokio::test]
async fn one_who_hangs_up_does_not_keep_others_from_the_answer() {
    let bed = Bed::new().await;
    assert!(bed.ask("warm up").await.is_ok());
    bed.fake.set(Mode::Silent);
    let keystone = Arc::clone(&bed.keystone);
    let first = tokio::spawn(async move { ask(&keystone, "good").await });
    bed.fake.until(|fake| fake.questions.load(Ordering::SeqCst) == 2).await;
    let keystone = Arc::clone(&bed.keystone);
    let second = tokio::spawn(async move { ask(&keystone, "good").await });
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.is_err());
    bed.fake.set(Mode::Normal);
    assert!(second.await.unwrap().is_ok());
}

#[tokio::test]
async fn our_own_token_is_renewed_when_keystone_refuses_it() {
    let bed = Bed::new().await;
    assert!(bed.ask("good").await.is_ok());
    bed.fake.revoke_service_tokens();
    assert!(bed.ask("other").await.is_ok());
    assert_eq!((bed.logins(), bed.questions()), (2, 3), "the second question was asked twice");
}

#[tokio::test]
async fn our_own_token_is_renewed_before_it_ends() {
    let bed = Bed::new().await;
    assert!(bed.ask("good").await.is_ok());
    bed.clock.advance(Duration::from_secs(3600 - 61));
    assert!(bed.ask("good").await.is_ok());
    assert_eq!(bed.logins(), 1);
    bed.clock.advance(Duration::from_secs(60));
    assert!(bed.ask("good").await.is_ok());
    assert_eq!(bed.logins(), 2);
}

#[tokio::test]
async fn while_no_login_works_the_old_token_is_used_until_its_end() {
    let bed = Bed::new().await;
    assert!(bed.ask("good").await.is_ok());
    bed.fake.set(Mode::RefusingLogins);
    bed.clock.advance(Duration::from_secs(3600 - 30));
    assert!(bed.ask("good").await.is_ok());
    bed.clock.advance(Duration::from_secs(60));
    assert!(is_unavailable(&bed.ask("good").await));
}

#[tokio::test]
async fn a_refused_login_is_not_tried_again_at_once() {
    let bed = Bed::new().await;
    bed.fake.set(Mode::RefusingLogins);
    for token in ["one", "two", "three"] {
        assert!(is_unavailable(&bed.ask(token).await));
    }
    assert_eq!(bed.logins(), 1);
    bed.fake.set(Mode::Normal);
    bed.clock.advance(Duration::from_secs(2));
    assert!(bed.ask("one").await.is_ok());
    assert_eq!(bed.logins(), 2);
}

#[tokio::test]
async fn the_embedded_service_can_be_the_keystone_of_another_server() {
    let directory = tempfile::tempdir().unwrap();
    let keyring = karez_store::Keyring::open(&directory.path().join("secret.key")).unwrap();
    let path = directory.path().join("karez.db");
    let store = karez_store::Store::open(karez_store::Options::sqlite(path, keyring)).unwrap();
    let embedded = Arc::new(Embedded::new(store, EmbeddedOptions::default()));
    let admin = embedded.bootstrap(None).await.unwrap().unwrap();
    let fake = Fake::of(embedded.router()).await;
    let options = Options {
        username: "admin".to_owned(),
        password: admin.password.clone(),
        project_name: "admin".to_owned(),
        ..options(format!("{}/identity", fake.url()), &Clock::system())
    };
    let keystone = Keystone::new(options).unwrap();
    let token = keystone.client.service_token(None).await.unwrap();
    let caller = ask(&keystone, token.expose()).await.unwrap();
    assert_eq!(caller.user_id, admin.user_id);
    assert_eq!(caller.scope, Scope::Project(admin.project_id));
    assert_eq!(caller.roles, ["admin", "manager", "member", "reader"]);
    assert!(is_unauthorized(&ask(&keystone, "made up").await));
}
