//! Roles on projects, the domain and the system.

use super::*;

#[tokio::test]
async fn a_role_is_given_seen_and_taken_away() {
    let bed = Bed::new().await;
    let admin = bed.admin.token.as_str();
    let user = bed.user("alice").await;
    let project = bed.project("p").await;
    for target in [format!("projects/{project}"), "domains/default".to_owned(), "system".to_owned()] {
        let path = bed.grant_path(&target, &user, "member").await;
        bed.get(&path, admin).await.expect(404);
        bed.put(&path, admin).await.expect(204);
        bed.put(&path, admin).await.expect(204);
        bed.get(&path, admin).await.expect(204);
        bed.send(Method::HEAD, &path, &[("x-auth-token", admin)], Body::empty()).await.expect(204);
        let (collection, _) = path.rsplit_once('/').unwrap();
        assert_eq!(bed.get(collection, admin).await.expect(200).all("roles", "name"), ["member"]);
        bed.delete(&path, admin).await.expect(204);
        bed.delete(&path, admin).await.expect(404);
        assert_eq!(bed.get(collection, admin).await.expect(200).body["roles"], json!([]));
    }
}

#[tokio::test]
async fn a_part_of_the_path_that_does_not_exist_is_named() {
    let bed = Bed::new().await;
    let (user, project, role) = (&bed.admin.user_id, &bed.admin.project_id, bed.role("member").await);
    let cases = [
        (format!("/projects/x/users/{user}/roles/{role}"), "Could not find project: x."),
        (format!("/domains/x/users/{user}/roles/{role}"), "Could not find domain: x."),
        (format!("/projects/{project}/users/x/roles/{role}"), "Could not find user: x."),
        (format!("/projects/{project}/users/{user}/roles/x"), "Could not find role: x."),
    ];
    for (path, message) in cases {
        assert_eq!(bed.put(&path, &bed.admin.token).await.expect(404).message(), message);
    }
}

#[tokio::test]
async fn assignments_are_listed_with_filters_and_names() {
    let bed = Bed::new().await;
    let admin = bed.admin.token.as_str();
    let alice = bed.person("alice", "member").await;
    bed.grant("system", &alice.user_id, "reader").await;
    let member = bed.role("member").await;
    let count = async |query: &str| {
        let answer = bed.get(&format!("/role_assignments?{query}"), admin).await.expect(200);
        answer.body["role_assignments"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 5);
    assert_eq!(count(&format!("user.id={}", alice.user_id)).await, 2);
    assert_eq!(count(&format!("scope.project.id={}", alice.project_id)).await, 1);
    assert_eq!(count("scope.system=all").await, 2);
    assert_eq!(count("scope.domain.id=default").await, 1);
    assert_eq!(count(&format!("role.id={member}")).await, 1);
    assert_eq!(count("group.id=x").await, 0);
    let effective = format!("effective&user.id={}&scope.project.id={}", alice.user_id, alice.project_id);
    assert_eq!(count(&effective).await, 2, "member and reader");
    assert_eq!(count(&format!("effective=True&role.id={member}")).await, 4, "alice, and the admin on three");

    let path = format!("/role_assignments?include_names=True&scope.project.id={}", alice.project_id);
    let named = bed.get(&path, admin).await.expect(200);
    let domain = json!({"id": "default", "name": "Default"});
    let place = format!("projects/{}/users/{}/roles/{member}", alice.project_id, alice.user_id);
    let expected = json!([{
        "role": {"id": member, "name": "member"},
        "user": {"id": alice.user_id, "name": "alice", "domain": domain},
        "scope": {"project": {"id": alice.project_id, "name": "project of alice", "domain": domain}},
        "links": {"assignment": format!("http://karez.test:9696/identity/v3/{place}")},
    }]);
    assert_eq!(named.body["role_assignments"], expected);
    let short = bed.get("/role_assignments?scope.system=all&include_names=0", admin).await.expect(200);
    assert_eq!(short.body["role_assignments"][0]["scope"], json!({"system": {"all": true}}));
    assert!(short.body["role_assignments"][0]["user"].get("name").is_none());
}

#[tokio::test]
async fn deleting_a_role_ends_the_tokens_of_those_who_had_it() {
    let bed = Bed::new().await;
    let role = bed.post("/roles", &bed.admin.token, json!({"role": {"name": "auditor"}})).await.expect(201);
    let alice = bed.person("alice", "auditor").await;
    bed.grant(&format!("projects/{}", alice.project_id), &alice.user_id, "reader").await;
    let bob = bed.person("bob", "member").await;
    assert_eq!(bed.caller(&alice.token).await.unwrap().roles, ["auditor", "reader"]);
    let path = format!("/roles/{}", role.body["role"]["id"].as_str().unwrap());
    bed.delete(&path, &bed.admin.token).await.expect(204);
    assert!(bed.caller(&alice.token).await.is_err());
    assert!(bed.caller(&bob.token).await.is_ok());
}

#[tokio::test]
async fn a_deleted_project_leaves_nothing_behind_here() {
    let bed = Bed::new().await;
    let admin = bed.admin.token.as_str();
    let alice = bed.person("alice", "member").await;
    let user = format!("/users/{}", alice.user_id);
    bed.patch(&user, admin, json!({"user": {"default_project_id": alice.project_id}})).await.expect(200);
    bed.delete(&format!("/projects/{}", alice.project_id), admin).await.expect(204);
    let assignments =
        bed.get(&format!("/role_assignments?user.id={}", alice.user_id), admin).await.expect(200);
    assert_eq!(assignments.body["role_assignments"], json!([]));
    assert_eq!(bed.get(&user, admin).await.body["user"]["default_project_id"], Json::Null);
}

#[tokio::test]
async fn the_service_starts_a_second_time_without_a_second_administrator() {
    let bed = Bed::new().await;
    assert!(bed.embedded.bootstrap(None).await.unwrap().is_none());
    assert_eq!(bed.get("/users", &bed.admin.token).await.all("users", "name"), ["admin"]);
    assert_eq!(bed.get("/roles", &bed.admin.token).await.body["roles"].as_array().unwrap().len(), 5);
}
