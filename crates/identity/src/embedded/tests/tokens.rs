//! The life of tokens.

use super::*;

#[tokio::test]
async fn a_token_is_shown_to_its_owner_a_service_and_an_administrator() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    let bob = bed.person("bob", "manager").await;
    let service = bed.person("neutron", "service").await;
    for asking in [&alice, &service, &bed.admin] {
        let answer = bed.validate(&alice.token, &asking.token).await.expect(200);
        assert_eq!(answer.body["token"]["user"]["name"], "alice");
        assert_eq!(answer.body["token"]["project"]["id"], alice.project_id.as_str());
        assert_eq!(answer.token(), alice.token);
        assert!(answer.body["token"].get("catalog").is_some());
    }
    bed.validate(&alice.token, &bob.token).await.expect(403);
    bed.validate(&alice.token, "").await.expect(401);
    bed.validate("made up", &service.token).await.expect(404);
    bed.get("/auth/tokens", &service.token).await.expect(400);
}

#[tokio::test]
async fn a_head_request_validates_without_a_body() {
    let bed = Bed::new().await;
    let headers = [("x-auth-token", bed.admin.token.as_str()), ("x-subject-token", bed.admin.token.as_str())];
    let answer = bed.send(Method::HEAD, "/auth/tokens", &headers, Body::empty()).await.expect(200);
    assert_eq!(answer.body, Json::Null);
}

#[tokio::test]
async fn the_catalog_is_left_out_when_nobody_wants_it() {
    let bed = Bed::new().await;
    let headers = [("x-auth-token", bed.admin.token.as_str()), ("x-subject-token", bed.admin.token.as_str())];
    let answer = bed.send(Method::GET, "/auth/tokens?nocatalog", &headers, Body::empty()).await.expect(200);
    assert!(answer.body["token"].get("catalog").is_none());
}

#[tokio::test]
async fn a_token_tells_other_rooms_who_calls() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    let expected = Caller {
        user_id: alice.user_id.clone(),
        scope: karez_model::Scope::Project(alice.project_id.clone()),
        domain_id: "default".to_owned(),
        roles: vec!["member".to_owned(), "reader".to_owned()],
    };
    assert_eq!(*bed.caller(&alice.token).await.unwrap(), expected);
    let again = (bed.caller(&alice.token).await.unwrap(), bed.caller(&alice.token).await.unwrap());
    assert!(Arc::ptr_eq(&again.0, &again.1), "the second time from memory");
    for wrong in ["x", "", "0123456789012345678901234567890123456789012"] {
        assert!(matches!(bed.caller(wrong).await, Err(Denied::Unauthorized(_))), "{wrong}");
    }
    assert!(matches!(bed.embedded.authenticate(&HeaderMap::new()).await, Err(Denied::Unauthorized(_))));
}

#[tokio::test]
async fn a_token_ends_after_an_hour_and_is_swept() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    bed.clock.advance(Duration::from_secs(3599));
    assert!(bed.caller(&alice.token).await.is_ok());
    assert_eq!(bed.embedded.sweep().await.unwrap(), 0);
    bed.clock.advance(Duration::from_secs(1));
    assert!(bed.caller(&alice.token).await.is_err(), "though it was in memory a second ago");
    bed.get("/auth/projects", &alice.token).await.expect(401);
    assert_eq!(bed.embedded.sweep().await.unwrap(), 2, "those of alice and the administrator");
    assert_eq!(bed.embedded.sweep().await.unwrap(), 0);
}

#[tokio::test]
async fn a_revoked_token_ends_at_once() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    assert!(bed.caller(&alice.token).await.is_ok());
    let revoke = [("x-auth-token", alice.token.as_str()), ("x-subject-token", alice.token.as_str())];
    bed.send(Method::DELETE, "/auth/tokens", &revoke, Body::empty()).await.expect(204);
    assert!(bed.caller(&alice.token).await.is_err());
    bed.validate(&alice.token, &bed.admin.token).await.expect(404);
    let revoke = [("x-auth-token", bed.admin.token.as_str()), ("x-subject-token", alice.token.as_str())];
    bed.send(Method::DELETE, "/auth/tokens", &revoke, Body::empty()).await.expect(404);
}

#[tokio::test]
async fn only_the_owner_and_an_administrator_revoke_a_token() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    for other in [bed.person("bob", "member").await, bed.person("neutron", "service").await] {
        let revoke = [("x-auth-token", other.token.as_str()), ("x-subject-token", alice.token.as_str())];
        bed.send(Method::DELETE, "/auth/tokens", &revoke, Body::empty()).await.expect(403);
    }
    let revoke = [("x-auth-token", bed.admin.token.as_str()), ("x-subject-token", alice.token.as_str())];
    bed.send(Method::DELETE, "/auth/tokens", &revoke, Body::empty()).await.expect(204);
}

#[tokio::test]
async fn a_token_can_be_exchanged_for_another_scope_but_not_for_more_time() {
    let bed = Bed::new().await;
    let unscoped = login_by_name("admin", ADMIN_PASSWORD, json!("unscoped"));
    let first = bed.post("/auth/tokens", "", unscoped).await.expect(201);
    bed.clock.advance(Duration::from_secs(600));
    let to_project = rescope(&first.token(), json!({"project": {"id": bed.admin.project_id}}));
    let second = bed.post("/auth/tokens", "", to_project).await.expect(201);
    let to_system = rescope(&second.token(), json!({"system": {"all": true}}));
    let third = bed.post("/auth/tokens", "", to_system).await.expect(201);
    assert_eq!(second.body["token"]["project"]["id"], bed.admin.project_id.as_str());
    assert_eq!(third.body["token"]["system"], json!({"all": true}));
    let chain = &first.body["token"]["audit_ids"][0];
    for later in [&second, &third] {
        assert_eq!(later.body["token"]["methods"], json!(["password", "token"]));
        assert_eq!(later.body["token"]["expires_at"], first.body["token"]["expires_at"]);
        assert_eq!(later.body["token"]["issued_at"], "2026-11-23T01:12:03.000000Z");
        assert_eq!(&later.body["token"]["audit_ids"][1], chain);
        assert_ne!(&later.body["token"]["audit_ids"][0], chain);
    }
}

/// What ends the tokens of a user in a project.
#[derive(Clone, Copy, Debug)]
enum End {
    RoleRemoved,
    UserDisabled,
    UserDeleted,
    PasswordChanged,
    ProjectDisabled,
    ProjectDeleted,
}

impl End {
    const ALL: [Self; 6] = [
        Self::RoleRemoved,
        Self::UserDisabled,
        Self::UserDeleted,
        Self::PasswordChanged,
        Self::ProjectDisabled,
        Self::ProjectDeleted,
    ];

    async fn happens(self, bed: &Bed, person: &Person) {
        let admin = bed.admin.token.as_str();
        let user = format!("/users/{}", person.user_id);
        let project = format!("/projects/{}", person.project_id);
        match self {
            Self::RoleRemoved => {
                let path = bed.grant_path(&project[1..], &person.user_id, "member").await;
                bed.delete(&path, admin).await.expect(204);
            }
            Self::UserDisabled => {
                bed.patch(&user, admin, json!({"user": {"enabled": false}})).await.expect(200);
            }
            Self::UserDeleted => drop(bed.delete(&user, admin).await.expect(204)),
            Self::PasswordChanged => {
                bed.patch(&user, admin, json!({"user": {"password": "another"}})).await.expect(200);
            }
            Self::ProjectDisabled => {
                bed.patch(&project, admin, json!({"project": {"enabled": false}})).await.expect(200);
            }
            Self::ProjectDeleted => drop(bed.delete(&project, admin).await.expect(204)),
        }
    }

    /// Undoes it, as far as that is possible; the tokens are to stay dead.
    async fn is_undone(self, bed: &Bed, person: &Person) {
        let admin = bed.admin.token.as_str();
        let user = format!("/users/{}", person.user_id);
        let project = format!("/projects/{}", person.project_id);
        match self {
            Self::RoleRemoved => bed.grant(&project[1..], &person.user_id, "member").await,
            Self::UserDisabled => drop(bed.patch(&user, admin, json!({"user": {"enabled": true}})).await),
            Self::ProjectDisabled => {
                drop(bed.patch(&project, admin, json!({"project": {"enabled": true}})).await)
            }
            Self::UserDeleted | Self::PasswordChanged | Self::ProjectDeleted => {}
        }
    }
}

#[tokio::test]
async fn whatever_takes_rights_away_ends_the_tokens_concerned_for_good() {
    for end in End::ALL {
        let bed = Bed::new().await;
        let alice = bed.person("alice", "member").await;
        let bob = bed.person("bob", "member").await;
        assert!(bed.caller(&alice.token).await.is_ok());
        assert!(bed.caller(&bob.token).await.is_ok());
        end.happens(&bed, &alice).await;
        assert!(matches!(bed.caller(&alice.token).await, Err(Denied::Unauthorized(_))), "{end:?}");
        bed.validate(&alice.token, &bed.admin.token).await.expect(404);
        assert!(bed.caller(&bob.token).await.is_ok(), "{end:?} is nothing to bob");
        end.is_undone(&bed, &alice).await;
        assert!(bed.caller(&alice.token).await.is_err(), "{end:?}");
    }
}

#[tokio::test]
async fn a_change_by_another_replica_is_seen_within_five_seconds() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    assert!(bed.caller(&alice.token).await.is_ok());
    let path = bed.grant_path(&format!("projects/{}", alice.project_id), &alice.user_id, "member").await;
    let other = Arc::new(Embedded::new(bed.embedded.store.clone(), bed.embedded.options.clone())).router();
    let mut request = Request::delete(format!("/v3{path}")).body(Body::empty()).unwrap();
    request.headers_mut().insert("x-auth-token", bed.admin.token.parse().unwrap());
    assert_eq!(other.oneshot(request).await.unwrap().status(), StatusCode::NO_CONTENT);
    assert!(bed.caller(&alice.token).await.is_ok(), "from memory");
    bed.clock.advance(Duration::from_secs(5));
    assert!(bed.caller(&alice.token).await.is_err());
}

#[tokio::test]
async fn a_token_that_was_overlooked_is_still_worth_nothing_to_a_disabled_user_or_project() {
    for table in ["users", "projects"] {
        let bed = Bed::new().await;
        let alice = bed.person("alice", "member").await;
        let disable =
            move |tx: &mut Tx<'_>| tx.execute(&format!("UPDATE {table} SET enabled = $1"), &[0.into()]);
        assert_eq!(bed.embedded.store.write(disable).await.unwrap(), 2);
        assert!(bed.caller(&alice.token).await.is_err(), "{table}");
    }
}

#[tokio::test]
async fn a_token_with_a_new_role_has_it_at_once() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "reader").await;
    assert_eq!(bed.caller(&alice.token).await.unwrap().roles, ["reader"]);
    bed.grant(&format!("projects/{}", alice.project_id), &alice.user_id, "manager").await;
    assert_eq!(bed.caller(&alice.token).await.unwrap().roles, ["manager", "member", "reader"]);
}

#[tokio::test]
async fn tokens_and_passwords_are_stored_as_hashes_only() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    let stored = |tx: &mut Tx<'_>| {
        let mut values = Vec::new();
        for table in ["users", "tokens"] {
            values
                .extend(tx.query(&format!("SELECT * FROM {table}"), &[])?.into_iter().flat_map(|row| row.0));
        }
        Ok::<_, karez_store::Error>(values)
    };
    let stored = bed.embedded.store.read(stored).await.unwrap();
    assert!(stored.iter().any(|value| *value == alice.user_id.as_str().into()));
    for secret in [alice.token, bed.admin.token, password_of("alice"), ADMIN_PASSWORD.to_owned()] {
        let contains = |value: &karez_store::Datum| match value {
            karez_store::Datum::Text(text) => text.contains(&secret),
            karez_store::Datum::Blob(bytes) => {
                bytes.windows(secret.len()).any(|part| part == secret.as_bytes())
            }
            karez_store::Datum::Int(_) | karez_store::Datum::Null => false,
        };
        assert!(!stored.iter().any(contains));
    }
}
