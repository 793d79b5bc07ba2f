//! Users, projects, roles and what is read only.

use super::*;

/// The parts of the API that are alike for all kinds.
const KINDS: [(&str, &str); 3] = [("user", "users"), ("project", "projects"), ("role", "roles")];

#[tokio::test]
async fn each_kind_is_created_shown_listed_changed_and_deleted() {
    let bed = Bed::new().await;
    let admin = bed.admin.token.as_str();
    for (singular, plural) in KINDS {
        let collection = format!("/{plural}");
        let body = json!({singular: {"name": "first name", "description": "d"}});
        let created = bed.post(&collection, admin, body).await.expect(201);
        let object = &created.body[singular];
        let item = format!("/{plural}/{}", object["id"].as_str().unwrap());
        assert_eq!(object["links"]["self"], format!("http://karez.test:9696/identity/v3{item}"));
        assert_eq!(object["description"], "d");
        assert_eq!(bed.get(&item, admin).await.expect(200).body, created.body);

        bed.get(&format!("/{plural}/first%20name"), admin).await.expect(404);
        let found = bed.get(&format!("/{plural}?name=first%20name"), admin).await.expect(200);
        assert_eq!(found.body[plural], json!([object]));
        assert_eq!(found.body["links"]["next"], Json::Null);
        assert_eq!(bed.get(&format!("/{plural}?name=other"), admin).await.body[plural], json!([]));

        let body = json!({singular: {"name": "second name", "description": null}});
        let changed = bed.patch(&item, admin, body).await.expect(200);
        assert_eq!(changed.body[singular]["name"], "second name");
        assert_eq!(changed.body[singular]["description"], "");

        bed.delete(&item, admin).await.expect(204);
        bed.get(&item, admin).await.expect(404);
        bed.delete(&item, admin).await.expect(404);
        bed.patch(&item, admin, json!({singular: {"name": "x"}})).await.expect(404);
    }
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let bed = Bed::new().await;
    let admin = bed.admin.token.as_str();
    for (singular, plural) in KINDS {
        let collection = format!("/{plural}");
        bed.post(&collection, admin, json!({singular: {"name": "one"}})).await.expect(201);
        let other = bed.post(&collection, admin, json!({singular: {"name": "two"}})).await.expect(201);
        let again = bed.post(&collection, admin, json!({singular: {"name": "one"}})).await.expect(409);
        assert_eq!(again.message(), format!("There is a {singular} of this name already."));
        let item = format!("/{plural}/{}", other.body[singular]["id"].as_str().unwrap());
        bed.patch(&item, admin, json!({singular: {"name": "one"}})).await.expect(409);
    }
}

#[tokio::test]
async fn lists_are_sorted_by_name_and_filtered() {
    let bed = Bed::new().await;
    let admin = bed.admin.token.as_str();
    for (name, enabled, tags) in
        [("b", true, json!(["x", "y"])), ("a", false, json!(["x"])), ("c", true, json!([]))]
    {
        let body = json!({"project": {"name": name, "enabled": enabled, "tags": tags}});
        bed.post("/projects", admin, body).await.expect(201);
    }
    let cases = [
        ("", vec!["a", "admin", "b", "c"]),
        ("enabled=False", vec!["a"]),
        ("enabled=1", vec!["admin", "b", "c"]),
        ("domain_id=default", vec!["a", "admin", "b", "c"]),
        ("domain_id=other", vec![]),
        ("is_domain=true", vec![]),
        ("parent_id=default&name=a", vec!["a"]),
        ("tags=x,y", vec!["b"]),
        ("tags-any=x,y", vec!["a", "b"]),
        ("not-tags=x,y", vec!["a", "admin", "c"]),
        ("not-tags-any=x", vec!["admin", "c"]),
        ("unheard_of=x", vec!["a", "admin", "b", "c"]),
    ];
    for (query, expected) in cases {
        let answer = bed.get(&format!("/projects?{query}"), admin).await.expect(200);
        assert_eq!(answer.all("projects", "name"), expected, "{query}");
    }
    bed.get("/projects?enabled=maybe", admin).await.expect(400);
}

#[tokio::test]
async fn a_user_is_shown_as_keystone_does_and_without_a_password() {
    let bed = Bed::new().await;
    let admin = bed.admin.token.as_str();
    let body = json!({"user": {
        "name": "alice", "password": "pw", "email": "a@example.org", "domain_id": "default",
        "default_project_id": bed.admin.project_id, "enabled": true, "options": {"ignore_password_expiry": true},
    }});
    let created = bed.post("/users", admin, body).await.expect(201);
    let user = created.body["user"].clone();
    let id = user["id"].as_str().unwrap();
    let expected = json!({
        "id": id, "name": "alice", "domain_id": "default", "description": "", "email": "a@example.org",
        "enabled": true, "default_project_id": bed.admin.project_id, "password_expires_at": null, "options": {},
        "links": {"self": format!("http://karez.test:9696/identity/v3/users/{id}")},
    });
    assert_eq!(user, expected);
    let path = format!("/users/{id}");
    bed.patch(&path, admin, json!({"user": {"enabled": false}})).await.expect(200);
    let changed =
        bed.patch(&path, admin, json!({"user": {"enabled": null, "email": null}})).await.expect(200);
    assert_eq!(changed.body["user"]["enabled"], false, "null is not a truth");
    assert_eq!(changed.body["user"]["email"], Json::Null);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_name() {
    let bed = Bed::new().await;
    let cases = [
        ("user", json!({}), "user.name is missing"),
        ("user", json!({"name": ""}), "user.name: \"\" is not allowed"),
        ("user", json!({"name": "a".repeat(256)}), "at most 255 characters"),
        (
            "user",
            json!({"name": "a", "colour": 1}),
            "user.colour is not an attribute of a user; those are name,",
        ),
        ("user", json!({"name": "a", "enabled": "yes"}), "user.enabled: \"yes\" is not allowed"),
        (
            "user",
            json!({"name": "a", "domain_id": "x"}),
            "user.domain_id: \"x\" is not allowed; it must be \"default\"",
        ),
        ("user", json!({"name": "a", "password": 1}), "user.password must be a text of 1 to 4096 bytes"),
        (
            "user",
            json!({"name": "a", "options": {"lock_password": true}}),
            "user.options.lock_password is not supported",
        ),
        ("project", json!({"name": "a".repeat(65)}), "at most 64 characters"),
        ("project", json!({"name": "a", "is_domain": true}), "project.is_domain: true is not allowed"),
        ("project", json!({"name": "a", "parent_id": "x"}), "project.parent_id: \"x\" is not allowed"),
        ("project", json!({"name": "a", "tags": ["b,c"]}), "project.tags: this list is not allowed"),
        ("project", json!({"name": "a", "tags": ["b\nc"]}), "project.tags: this list is not allowed"),
        ("role", json!({"name": "a", "domain_id": "default"}), "role.domain_id: \"default\" is not allowed"),
    ];
    for (singular, object, expected) in cases {
        let body = json!({singular: object});
        let answer = bed.post(&format!("/{singular}s"), &bed.admin.token, body).await.expect(400);
        assert!(answer.message().contains(expected), "{}", answer.message());
    }
}

#[tokio::test]
async fn a_user_sees_himself_and_his_projects_and_no_more() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "manager").await;
    let own = |path: &str| path.replace("{u}", &alice.user_id).replace("{p}", &alice.project_id);
    let admins = |path: &str| path.replace("{u}", &bed.admin.user_id).replace("{p}", &bed.admin.project_id);
    for path in ["/users/{u}", "/users/{u}/projects", "/projects/{p}", "/role_assignments?user.id={u}"] {
        bed.get(&own(path), &alice.token).await.expect(200);
        bed.get(&admins(path), &alice.token).await.expect(403);
    }
    for path in ["/users", "/projects", "/role_assignments", "/users/made-up", "/projects/made-up"] {
        bed.get(path, &alice.token).await.expect(403);
        bed.get(path, "").await.expect(401);
    }
    for path in ["/roles", "/domains", "/domains/default", "/services", "/endpoints", "/regions", "/groups"] {
        bed.get(path, &alice.token).await.expect(200);
        bed.get(path, "").await.expect(401);
    }
    let own_projects = bed.get("/auth/projects", &alice.token).await.expect(200);
    assert_eq!(own_projects.all("projects", "id"), [&alice.project_id]);
    assert_eq!(bed.get("/auth/domains", &alice.token).await.expect(200).body["domains"], json!([]));
    assert_eq!(bed.get("/auth/system", &alice.token).await.expect(200).body["system"], json!([]));
    assert_eq!(bed.get("/auth/system", &bed.admin.token).await.body["system"], json!([{"all": true}]));
    assert_eq!(bed.get("/auth/domains", &bed.admin.token).await.all("domains", "id"), ["default"]);
}

#[tokio::test]
async fn only_an_administrator_changes_things() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "manager").await;
    let (own, project) = (format!("/users/{}", alice.user_id), format!("/projects/{}", alice.project_id));
    for (singular, path) in [("user", own.as_str()), ("project", project.as_str())] {
        bed.post(&format!("/{singular}s"), &alice.token, json!({singular: {"name": "x"}})).await.expect(403);
        bed.patch(path, &alice.token, json!({singular: {"name": "x"}})).await.expect(403);
        bed.delete(path, &alice.token).await.expect(403);
    }
    bed.post("/roles", &alice.token, json!({"role": {"name": "x"}})).await.expect(403);
    let path = bed.grant_path(&project[1..], &alice.user_id, "admin").await;
    for method in [Method::PUT, Method::GET, Method::DELETE] {
        bed.send(method, &path, &[("x-auth-token", &alice.token)], Body::empty()).await.expect(403);
    }
}

#[tokio::test]
async fn a_user_changes_his_own_password_with_the_old_one() {
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    let path = format!("/users/{}/password", alice.user_id);
    let body = |old: &str| json!({"user": {"original_password": old, "password": "new"}});
    bed.post(&path, "", body(&password_of("alice"))).await.expect(401);
    bed.post(&path, &bed.admin.token, body(&password_of("alice"))).await.expect(403);
    bed.post(&path, &alice.token, body("wrong")).await.expect(401);
    assert!(bed.caller(&alice.token).await.is_ok());
    bed.post(&path, &alice.token, body(&password_of("alice"))).await.expect(204);
    assert!(bed.caller(&alice.token).await.is_err());
    bed.login("alice", Json::Null).await.expect(401);
    bed.post("/auth/tokens", "", login_by_name("alice", "new", Json::Null)).await.expect(201);
}

#[tokio::test]
async fn built_in_roles_stay_as_they_are() {
    let bed = Bed::new().await;
    let admin = bed.admin.token.as_str();
    let names = bed.get("/roles", admin).await.expect(200);
    assert_eq!(names.all("roles", "name"), ["admin", "manager", "member", "reader", "service"]);
    let path = format!("/roles/{}", bed.role("member").await);
    bed.patch(&path, admin, json!({"role": {"name": "x"}})).await.expect(403);
    bed.delete(&path, admin).await.expect(403);
    bed.post("/roles", admin, json!({"role": {"name": "Admin"}})).await.expect(409);
    let inferences = bed.get("/role_inferences", admin).await.expect(200);
    let pairs: Vec<_> = inferences.body["role_inferences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["prior_role"]["name"].as_str().unwrap(), one["implies"][0]["name"].as_str().unwrap()))
        .collect();
    assert_eq!(pairs, [("admin", "manager"), ("manager", "member"), ("member", "reader")]);
}

#[tokio::test]
async fn there_is_one_domain_that_cannot_be_changed() {
    let bed = Bed::new().await;
    let admin = bed.admin.token.as_str();
    assert_eq!(bed.get("/domains", admin).await.all("domains", "name"), ["Default"]);
    assert_eq!(bed.get("/domains?name=Default", admin).await.all("domains", "id"), ["default"]);
    assert_eq!(bed.get("/domains?name=other", admin).await.body["domains"], json!([]));
    bed.get("/domains/other", admin).await.expect(404);
    bed.post("/domains", admin, json!({"domain": {"name": "x"}})).await.expect(403);
    bed.delete("/domains/default", admin).await.expect(403);
}

#[tokio::test]
async fn the_catalog_is_listed() {
    let bed = Bed::new().await;
    let admin = bed.admin.token.as_str();
    let services = bed.get("/services", admin).await.expect(200);
    assert_eq!(services.all("services", "type"), ["identity", "network"]);
    let id = services.body["services"][1]["id"].as_str().unwrap();
    assert_eq!(
        bed.get(&format!("/services/{id}"), admin).await.expect(200).body["service"]["name"],
        "neutron"
    );
    let endpoints = bed.get(&format!("/endpoints?service_id={id}&interface=public"), admin).await.expect(200);
    assert_eq!(endpoints.all("endpoints", "url"), ["http://karez.test:9696"]);
    assert_eq!(bed.get("/regions", admin).await.all("regions", "id"), ["RegionOne"]);
    assert_eq!(bed.get("/regions/RegionOne", admin).await.expect(200).body["region"]["id"], "RegionOne");
    bed.get("/endpoints/made-up", admin).await.expect(404);
    bed.post("/services", admin, json!({"service": {"type": "x"}})).await.expect(405);
    assert_eq!(
        bed.get("/auth/catalog", admin).await.expect(200).body["catalog"].as_array().unwrap().len(),
        2
    );
}
