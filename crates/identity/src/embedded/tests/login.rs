//! Proving who one is.

use super::*;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_password_gives_a_token_for_a_project() {
    let bed = Bed::new().await;
    let scope = json!({"project": {"name": "admin", "domain": {"id": "default"}}});
    let login = bed.post("/auth/tokens", "", login_by_name("admin", ADMIN_PASSWORD, scope)).await.expect(201);
    assert_eq!(login.token().len(), 43);
    assert_eq!(login.headers["vary"], "X-Auth-Token");
    let token = &login.body["token"];
    let domain = json!({"id": "default", "name": "Default"});
    assert_eq!(token["methods"], json!(["password"]));
    assert_eq!(
        token["user"],
        json!({"id": bed.admin.user_id, "name": "admin", "domain": domain, "password_expires_at": null})
    );
    assert_eq!(token["project"], json!({"id": bed.admin.project_id, "name": "admin", "domain": domain}));
    assert_eq!(token["is_domain"], false);
    assert_eq!(token["issued_at"], "2026-11-23T01:02:03.000000Z");
    assert_eq!(token["expires_at"], "2026-11-23T02:02:03.000000Z");
    assert_eq!(token["audit_ids"].as_array().unwrap().len(), 1);
    let names: Vec<_> = token["roles"].as_array().unwrap().iter().map(|role| role["name"].clone()).collect();
    assert_eq!(names, ["admin", "manager", "member", "reader"]);
}

#[tokio::test]
async fn the_catalog_names_the_host_that_was_called() {
    let bed = Bed::new().await;
    let scope = json!({"project": {"id": bed.admin.project_id}});
    let login = bed.post("/auth/tokens", "", login_by_name("admin", ADMIN_PASSWORD, scope.clone())).await;
    let endpoints: BTreeSet<String> = login.body["token"]["catalog"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|service| {
            let endpoints = service["endpoints"].as_array().unwrap().iter();
            endpoints.map(|e| {
                let text = |key: &str| e[key].as_str().unwrap().to_owned();
                let kind = service["type"].as_str().unwrap();
                format!("{kind} {} {} {}", text("interface"), text("region_id"), text("url"))
            })
        })
        .collect();
    let expected = ["public", "internal", "admin"].iter().flat_map(|interface| {
        [
            format!("identity {interface} RegionOne http://karez.test:9696/identity/v3"),
            format!("network {interface} RegionOne http://karez.test:9696"),
        ]
    });
    assert_eq!(endpoints, expected.collect());
    let login = login_by_name("admin", ADMIN_PASSWORD, scope);
    let short = bed.post("/auth/tokens?nocatalog", "", login).await.expect(201);
    assert!(short.body["token"].get("catalog").is_none());
}

#[tokio::test]
async fn a_user_is_known_by_his_id_too() {
    let bed = Bed::new().await;
    let user = json!({"id": bed.admin.user_id, "password": ADMIN_PASSWORD});
    let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}});
    bed.post("/auth/tokens", "", body).await.expect(201);
}

#[tokio::test]
async fn what_is_wrong_with_credentials_is_not_said() {
    let bed = Bed::new().await;
    bed.user("mute").await;
    let no_password = json!({"user": {"name": "nopassword"}});
    bed.post("/users", &bed.admin.token, no_password).await.expect(201);
    let elsewhere = json!({"name": "admin", "domain": {"name": "Elsewhere"}, "password": ADMIN_PASSWORD});
    let attempts = [
        login_by_name("admin", "wrong", Json::Null),
        login_by_name("nobody", ADMIN_PASSWORD, Json::Null),
        login_by_name("nopassword", "x", Json::Null),
        json!({"auth": {"identity": {"methods": ["password"], "password": {"user": elsewhere}}}}),
        json!({"auth": {"identity": {"methods": ["token"], "token": {"id": "made up"}}}}),
        login_by_credential("made-up", "x"),
    ];
    for attempt in attempts {
        let answer = bed.post("/auth/tokens", "", attempt).await.expect(401);
        assert_eq!(answer.body["error"]["message"], "The request you have made requires authentication.");
        assert_eq!(answer.body["error"]["title"], "Unauthorized");
        assert_eq!(answer.headers["www-authenticate"], "Keystone uri=\"http://karez.test:9696/identity\"");
    }
}

#[tokio::test]
async fn too_many_wrong_passwords_have_to_wait_and_nobody_else_has() {
    let bed = Bed::new().await;
    bed.user("alice").await;
    let body = |password: &str| login_by_name("alice", password, Json::Null).to_string();
    for _ in 0..10 {
        bed.send(Method::POST, "/auth/tokens", &[], body("wrong")).await.expect(401);
    }
    let refused = bed.send(Method::POST, "/auth/tokens", &[], body(&password_of("alice"))).await.expect(429);
    assert_eq!(refused.headers["retry-after"], "10");
    assert_eq!(refused.body["error"]["code"], 429);
    let elsewhere = [("source", "198.51.100.7")];
    bed.send(Method::POST, "/auth/tokens", &elsewhere, body(&password_of("alice"))).await.expect(201);
    bed.clock.advance(Duration::from_secs(10));
    bed.send(Method::POST, "/auth/tokens", &[], body(&password_of("alice"))).await.expect(201);
}

#[tokio::test]
async fn behind_a_proxy_failures_are_counted_by_the_address_that_it_names() {
    let bed = Bed::behind_proxy().await;
    let body = || login_by_name("admin", "wrong", Json::Null).to_string();
    let from = |list: &'static str| [("x-forwarded-for", list)];
    for _ in 0..10 {
        bed.send(Method::POST, "/auth/tokens", &from("10.9.9.9, 198.51.100.7"), body()).await.expect(401);
    }
    let changed = from("10.1.1.1, 198.51.100.7");
    bed.send(Method::POST, "/auth/tokens", &changed, body()).await.expect(429);
    bed.send(Method::POST, "/auth/tokens", &from("198.51.100.8"), body()).await.expect(401);
}

#[tokio::test]
async fn without_a_proxy_nobody_chooses_his_address() {
    let bed = Bed::new().await;
    let body = || login_by_name("admin", "wrong", Json::Null).to_string();
    for at in 0..10 {
        let from = format!("198.51.100.{at}");
        bed.send(Method::POST, "/auth/tokens", &[("x-forwarded-for", &from)], body()).await.expect(401);
    }
    bed.send(Method::POST, "/auth/tokens", &[("x-forwarded-for", "198.51.100.99")], body()).await.expect(429);
}

#[tokio::test]
async fn guesses_by_name_and_by_id_are_counted_together() {
    let bed = Bed::new().await;
    let user_id = bed.user("alice").await;
    for _ in 0..5 {
        bed.post("/auth/tokens", "", login_by_name("alice", "wrong", Json::Null)).await.expect(401);
        let user = json!({"id": user_id, "password": "wrong"});
        let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}});
        bed.post("/auth/tokens", "", body).await.expect(401);
    }
    bed.post("/auth/tokens", "", login_by_name("alice", "wrong", Json::Null)).await.expect(429);
}

#[tokio::test]
async fn a_user_without_a_role_gets_a_token_without_scope_only() {
    let bed = Bed::new().await;
    bed.user("alice").await;
    let unscoped = bed.login("alice", Json::Null).await.expect(201);
    let token = unscoped.body["token"].as_object().unwrap();
    for absent in ["project", "domain", "system", "roles", "catalog"] {
        assert!(!token.contains_key(absent), "{absent}");
    }
    let caller = bed.caller(&unscoped.token()).await.unwrap();
    assert_eq!((&caller.scope, caller.roles.len()), (&karez_model::Scope::Unscoped, 0));
    let scopes = [
        json!({"project": {"id": bed.admin.project_id}}),
        json!({"project": {"id": "made-up"}}),
        json!({"project": {"name": "admin", "domain": {"name": "Elsewhere"}}}),
        json!({"domain": {"id": "default"}}),
        json!({"domain": {"id": "elsewhere"}}),
        json!({"system": {"all": true}}),
    ];
    let mut messages = BTreeSet::new();
    for scope in scopes {
        messages.insert(bed.login("alice", scope).await.expect(401).message().to_owned());
    }
    assert_eq!(messages.len(), 1, "whether a scope exists is not said: {messages:?}");
}

#[tokio::test]
async fn the_system_and_the_domain_can_be_the_scope() {
    let bed = Bed::new().await;
    let login = |scope| bed.post("/auth/tokens", "", login_by_name("admin", ADMIN_PASSWORD, scope));
    let system = login(json!({"system": {"all": true}})).await.expect(201);
    assert_eq!(system.body["token"]["system"], json!({"all": true}));
    assert!(system.body["token"].get("project").is_none());
    assert!(system.body["token"].get("catalog").is_some());
    assert_eq!(bed.caller(&system.token()).await.unwrap().scope, karez_model::Scope::System);
    let domain = login(json!({"domain": {"name": "Default"}})).await.expect(201);
    assert_eq!(domain.body["token"]["domain"], json!({"id": "default", "name": "Default"}));
    let caller = bed.caller(&domain.token()).await.unwrap();
    assert_eq!(caller.scope, karez_model::Scope::Domain("default".to_owned()));
}

#[tokio::test]
async fn without_a_scope_it_is_the_default_project_if_that_can_be_used() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    let path = format!("/users/{}", alice.user_id);
    let body = json!({"user": {"default_project_id": alice.project_id}});
    bed.patch(&path, &bed.admin.token, body).await.expect(200);
    let login = bed.login("alice", Json::Null).await.expect(201);
    assert_eq!(login.body["token"]["project"]["id"], alice.project_id.as_str());
    for explicit in [json!("unscoped"), json!({"unscoped": {}})] {
        let login = bed.login("alice", explicit).await.expect(201);
        assert!(login.body["token"].get("project").is_none());
    }
    let body = json!({"user": {"default_project_id": bed.admin.project_id}});
    bed.patch(&path, &bed.admin.token, body).await.expect(200);
    let login = bed.login("alice", Json::Null).await.expect(201);
    assert!(login.body["token"].get("project").is_none(), "no role there");
}

#[tokio::test]
async fn a_disabled_user_or_project_gets_no_token() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    let scope = json!({"project": {"id": alice.project_id}});
    let project = format!("/projects/{}", alice.project_id);
    bed.patch(&project, &bed.admin.token, json!({"project": {"enabled": false}})).await.expect(200);
    bed.login("alice", scope.clone()).await.expect(401);
    bed.login("alice", Json::Null).await.expect(201);
    bed.patch(&project, &bed.admin.token, json!({"project": {"enabled": true}})).await.expect(200);
    bed.login("alice", scope.clone()).await.expect(201);
    let user = format!("/users/{}", alice.user_id);
    bed.patch(&user, &bed.admin.token, json!({"user": {"enabled": false}})).await.expect(200);
    bed.login("alice", scope).await.expect(401);
}

#[tokio::test]
async fn a_malformed_login_is_told_what_is_wrong() {
    let bed = Bed::new().await;
    let identity = |identity: Json| json!({"auth": {"identity": identity}});
    let cases = [
        (json!([]), "\"auth\""),
        (json!({}), "auth is missing"),
        (json!({"auth": {}}), "auth.identity is missing"),
        (identity(json!({})), "auth.identity.methods is missing"),
        (identity(json!({"methods": "password"})), "auth.identity.methods: \"password\" is not allowed"),
        (identity(json!({"methods": ["password", "token"]})), "in a list of one"),
        (identity(json!({"methods": ["password"]})), "auth.identity.password is missing"),
        (
            identity(json!({"methods": ["password"], "password": {"user": {"password": "x"}}})),
            "auth.identity.password.user.name is missing",
        ),
        (
            identity(json!({"methods": ["password"], "password": {"user": {"name": "a", "password": "x"}}})),
            "auth.identity.password.user.domain is missing",
        ),
        (
            identity(json!({"methods": ["password"], "password": {"user": {"id": "a"}}})),
            "auth.identity.password.user.password is missing",
        ),
        (login_by_name("admin", "x", json!("everything")), "auth.scope: \"everything\" is not allowed"),
        (
            login_by_name("admin", "x", json!({"project": {}, "system": {}})),
            "auth.scope: an object is not allowed",
        ),
        (
            login_by_name("admin", "x", json!({"project": {"name": "a"}})),
            "auth.scope.project.domain is missing",
        ),
        (
            login_by_name("admin", "x", json!({"system": {"all": false}})),
            "auth.scope.system.all must be true",
        ),
    ];
    for (body, expected) in cases {
        let answer = bed.post("/auth/tokens", "", body.clone()).await.expect(400);
        assert!(answer.message().contains(expected), "{body} gives: {}", answer.message());
    }
    bed.post("/auth/tokens", "", identity(json!({"methods": ["totp"]}))).await.expect(401);
}
