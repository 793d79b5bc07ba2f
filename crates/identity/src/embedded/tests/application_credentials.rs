//! Secrets for programs.

use super::*;

struct Credential {
    id: String,
    secret: String,
}

impl Bed {
    fn credentials_of(person: &Person) -> String {
        format!("/users/{}/application_credentials", person.user_id)
    }

    async fn credential(&self, person: &Person, attributes: Json) -> Credential {
        let mut body = json!({"application_credential": attributes});
        body["application_credential"]["name"] = json!("robot");
        let answer = self.post(&Self::credentials_of(person), &person.token, body).await.expect(201);
        let text = |key: &str| answer.body["application_credential"][key].as_str().unwrap().to_owned();
        Credential { id: text("id"), secret: text("secret") }
    }

    async fn login_with(&self, credential: &Credential) -> Answer {
        self.post("/auth/tokens", "", login_by_credential(&credential.id, &credential.secret)).await
    }
}

#[tokio::test]
async fn a_credential_logs_a_program_in_to_the_project_it_was_made_in() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    let credential = bed.credential(&alice, json!({})).await;
    assert_eq!(credential.secret.len(), 43);
    let by_id = bed.login_with(&credential).await.expect(201);
    let user = json!({"name": "alice", "domain": {"id": "default"}});
    let by_name = json!({"auth": {"identity": {"methods": ["application_credential"], "application_credential": {
        "name": "robot", "user": user, "secret": credential.secret,
    }}}});
    let by_name = bed.post("/auth/tokens", "", by_name).await.expect(201);
    for login in [by_id, by_name] {
        let token = &login.body["token"];
        assert_eq!(token["methods"], json!(["application_credential"]));
        assert_eq!(token["project"]["id"], alice.project_id.as_str());
        assert_eq!(
            token["application_credential"],
            json!({"id": credential.id, "name": "robot", "restricted": true})
        );
        assert_eq!(bed.caller(&login.token()).await.unwrap().roles, ["member", "reader"]);
    }
    let wrong = Credential { secret: "wrong".to_owned(), ..credential };
    bed.login_with(&wrong).await.expect(401);
}

#[tokio::test]
async fn the_secret_is_told_once() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    let credential = bed.credential(&alice, json!({"secret": "chosen by alice", "description": "d"})).await;
    assert_eq!(credential.secret, "chosen by alice");
    let collection = Bed::credentials_of(&alice);
    let item = format!("{collection}/{}", credential.id);
    let shown = bed.get(&item, &alice.token).await.expect(200).body["application_credential"].clone();
    assert!(shown.get("secret").is_none());
    assert_eq!((&shown["description"], &shown["unrestricted"]), (&json!("d"), &json!(false)));
    assert_eq!(shown["project_id"], alice.project_id.as_str());
    assert_eq!(shown["links"]["self"], format!("http://karez.test:9696/identity/v3{item}"));
    let listed = bed.get(&format!("{collection}?name=robot"), &alice.token).await.expect(200);
    assert_eq!(listed.body["application_credentials"], json!([shown]));
    let none = bed.get(&format!("{collection}?name=other"), &alice.token).await.expect(200);
    assert_eq!(none.body["application_credentials"], json!([]));
}

#[tokio::test]
async fn a_credential_has_the_roles_that_were_chosen_and_no_others() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "manager").await;
    let chosen = bed.credential(&alice, json!({"roles": [{"name": "member"}]})).await;
    let login = bed.login_with(&chosen).await.expect(201);
    assert_eq!(bed.caller(&login.token()).await.unwrap().roles, ["member", "reader"]);
    let body = json!({"application_credential": {"name": "x", "roles": [{"name": "admin"}]}});
    let refused = bed.post(&Bed::credentials_of(&alice), &alice.token, body).await.expect(400);
    assert!(refused.message().contains("application_credential.roles[0].name: \"admin\" is not allowed"));
}

#[tokio::test]
async fn a_credential_ends_with_its_time_and_its_tokens_before_it() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    let credential = bed.credential(&alice, json!({"expires_at": "2026-11-23T01:12:03"})).await;
    let login = bed.login_with(&credential).await.expect(201);
    assert_eq!(login.body["token"]["expires_at"], "2026-11-23T01:12:03.000000Z");
    bed.clock.advance(Duration::from_secs(600));
    bed.login_with(&credential).await.expect(401);
    assert!(bed.caller(&login.token()).await.is_err());
    for wrong in ["2026-11-23T01:12:02", "tomorrow"] {
        let body = json!({"application_credential": {"name": "x", "expires_at": wrong}});
        bed.post(&Bed::credentials_of(&alice), &alice.token, body).await.expect(400);
    }
}

#[tokio::test]
async fn a_restricted_credential_makes_and_destroys_no_credentials() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    let collection = Bed::credentials_of(&alice);
    let restricted = bed.credential(&alice, json!({})).await;
    let item = format!("{collection}/{}", restricted.id);
    let token = bed.login_with(&restricted).await.expect(201).token();
    let rescoped = rescope(&token, json!({"project": {"id": alice.project_id}}));
    let rescoped = bed.post("/auth/tokens", "", rescoped).await.expect(201).token();
    let body = json!({"application_credential": {"name": "another", "unrestricted": true}});
    for token in [token, rescoped] {
        bed.post(&collection, &token, body.clone()).await.expect(403);
        bed.delete(&item, &token).await.expect(403);
        bed.get(&item, &token).await.expect(200);
    }
    bed.delete(&item, &alice.token).await.expect(204);
    let free = bed.credential(&alice, json!({"unrestricted": true})).await;
    let token = bed.login_with(&free).await.expect(201).token();
    bed.post(&collection, &token, body).await.expect(201);
}

#[tokio::test]
async fn a_token_of_a_credential_stays_in_its_project() {
    let bed = Bed::new().await;
    let credential = bed.credential(&bed.admin, json!({})).await;
    let other = bed.project("other").await;
    bed.grant(&format!("projects/{other}"), &bed.admin.user_id, "admin").await;
    let token = bed.login_with(&credential).await.expect(201).token();
    let scopes = [json!({"project": {"id": other}}), json!({"system": {"all": true}}), json!("unscoped")];
    for scope in scopes {
        bed.post("/auth/tokens", "", rescope(&token, scope.clone())).await.expect(401);
        let mut body = login_by_credential(&credential.id, &credential.secret);
        body["auth"]["scope"] = scope;
        bed.post("/auth/tokens", "", body).await.expect(401);
    }
}

#[tokio::test]
async fn deleting_a_credential_ends_its_tokens() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    let credential = bed.credential(&alice, json!({})).await;
    let token = bed.login_with(&credential).await.expect(201).token();
    assert!(bed.caller(&token).await.is_ok());
    let item = format!("{}/{}", Bed::credentials_of(&alice), credential.id);
    bed.delete(&item, &alice.token).await.expect(204);
    assert!(bed.caller(&token).await.is_err());
    assert!(bed.caller(&alice.token).await.is_ok());
    bed.login_with(&credential).await.expect(401);
    bed.delete(&item, &alice.token).await.expect(404);
}

#[tokio::test]
async fn taking_a_role_away_ends_the_credentials_made_with_it() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    let credential = bed.credential(&alice, json!({})).await;
    let path = bed.grant_path(&format!("projects/{}", alice.project_id), &alice.user_id, "member").await;
    bed.delete(&path, &bed.admin.token).await.expect(204);
    bed.put(&path, &bed.admin.token).await.expect(204);
    bed.login_with(&credential).await.expect(401);
}

#[tokio::test]
async fn credentials_are_their_owners() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    let bob = bed.person("bob", "member").await;
    let credential = bed.credential(&alice, json!({})).await;
    let collection = Bed::credentials_of(&alice);
    let item = format!("{collection}/{}", credential.id);
    let body = json!({"application_credential": {"name": "x"}});
    bed.post(&collection, &bob.token, body.clone()).await.expect(403);
    bed.post(&collection, &bed.admin.token, body.clone()).await.expect(403);
    bed.get(&collection, &bob.token).await.expect(403);
    bed.get(&item, &bob.token).await.expect(403);
    bed.delete(&item, &bob.token).await.expect(403);
    bed.get(&format!("{}/{}", Bed::credentials_of(&bob), credential.id), &bob.token).await.expect(404);
    bed.get(&item, &bed.admin.token).await.expect(200);
    let again = json!({"application_credential": {"name": "robot"}});
    bed.post(&collection, &alice.token, again).await.expect(409);
    let unscoped = bed.login("alice", json!("unscoped")).await.expect(201).token();
    bed.post(&collection, &unscoped, body).await.expect(400);
    let rules = json!({"application_credential": {"name": "x", "access_rules": [{"path": "/"}]}});
    bed.post(&collection, &alice.token, rules).await.expect(400);
    bed.delete(&item, &bed.admin.token).await.expect(204);
}
