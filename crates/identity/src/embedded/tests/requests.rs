//! What is the same for all routes: errors, bounds, headers.

use super::*;

#[tokio::test]
async fn what_is_not_there_is_404_and_a_wrong_method_405_in_the_shape_of_keystone() {
    let bed = Bed::new().await;
    let not_found = bed.get("/nothing/here", &bed.admin.token).await.expect(404);
    assert_eq!(
        not_found.body,
        json!({"error": {"code": 404, "message": "The resource could not be found.", "title": "Not Found"}})
    );
    let wrong_method = bed.put("/users", &bed.admin.token).await.expect(405);
    assert_eq!(wrong_method.body["error"]["title"], "Method Not Allowed");
}

#[tokio::test]
async fn the_content_type_does_not_matter() {
    let bed = Bed::new().await;
    let body = json!({"project": {"name": "p"}}).to_string();
    let headers = [("x-auth-token", bed.admin.token.as_str()), ("content-type", "text/plain")];
    bed.send(Method::POST, "/projects", &headers, body).await.expect(201);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    let bed = Bed::new().await;
    let body = json!({"project": {"name": "p", "description": "x".repeat(1 << 20)}});
    let answer = bed.post("/projects", &bed.admin.token, body).await.expect(413);
    assert_eq!(answer.body["error"]["code"], 413);
}

#[tokio::test]
async fn nul_characters_are_refused_everywhere() {
    let bed = Bed::new().await;
    let admin = bed.admin.token.as_str();
    bed.post("/projects", admin, json!({"project": {"name": "a\0b"}})).await.expect(400);
    bed.post("/auth/tokens", "", login_by_name("a\0b", "x", Json::Null)).await.expect(400);
    bed.get("/projects/a%00b", admin).await.expect(400);
    bed.get("/projects?name=a%00b", admin).await.expect(400);
}

#[tokio::test]
async fn odd_urls_and_bodies_are_the_callers_fault() {
    let bed = Bed::new().await;
    let admin = bed.admin.token.as_str();
    bed.get("/projects/%ff", admin).await.expect(400);
    bed.get("/projects?name=%ff", admin).await.expect(200);
    for body in [
        "",
        "{",
        "null",
        "[]",
        "{\"project\": null}",
        "{\"project\": []}",
        "{\"project\": {\"name\": \"\\ud800\"}}",
    ] {
        let headers = [("x-auth-token", admin)];
        bed.send(Method::POST, "/projects", &headers, body).await.expect(400);
    }
}

#[tokio::test]
async fn no_random_body_is_a_fault_of_ours() {
    let bed = Bed::new().await;
    let admin = bed.admin.token.as_str();
    let values =
        [json!(null), json!(true), json!(-1), json!(1e300), json!("x"), json!(["x", {}]), json!({"id": {}})];
    let user = format!("/users/{}", bed.admin.user_id);
    let password = format!("{user}/password");
    let credentials = format!("{user}/application_credentials");
    let routes: [(Method, &str, &str, &[&str]); 6] = [
        (
            Method::POST,
            "/users",
            "user",
            &["name", "description", "email", "enabled", "default_project_id", "options"],
        ),
        (Method::POST, "/projects", "project", &["name", "tags", "is_domain", "parent_id", "options"]),
        (Method::POST, "/roles", "role", &["name", "domain_id", "description"]),
        (Method::POST, &password, "user", &["original_password", "password"]),
        (
            Method::POST,
            &credentials,
            "application_credential",
            &["name", "roles", "expires_at", "access_rules"],
        ),
        (Method::POST, "/auth/tokens", "auth", &["identity", "scope"]),
    ];
    for (method, path, envelope, names) in routes {
        for name in names {
            for value in &values {
                let mut object = json!({"name": "x", *name: value});
                if envelope == "auth" {
                    object.as_object_mut().unwrap().remove("name");
                }
                let body = json!({envelope: object}).to_string();
                let answer = bed.send(method.clone(), path, &[("x-auth-token", admin)], body.clone()).await;
                assert!(answer.status.as_u16() < 500, "{path} {body}: {}", answer.body);
            }
        }
    }
}

#[tokio::test]
async fn discovery_needs_no_token_and_names_the_version_and_where_it_is() {
    let bed = Bed::new().await;
    for slash in ["", "/"] {
        let version = bed.get(&format!("/identity/v3{slash}"), "").await.expect(200).body["version"].clone();
        assert_eq!(version["id"], "v3.14");
        assert_eq!(version["status"], "stable");
        assert_eq!(version["links"][0]["href"], "http://karez.test:9696/identity/v3/");
        let versions = bed.get(&format!("/identity{slash}"), "").await.expect(300);
        assert_eq!(versions.body["versions"]["values"], json!([version]));
    }
    bed.get("/identity/v2.0", "").await.expect(404);
    bed.send(Method::POST, "/identity", &[], Body::empty()).await.expect(405);
}

#[tokio::test]
async fn the_api_is_at_the_root_as_well_but_the_document_is_not() {
    let bed = Bed::new().await;
    let get = async |path: &str| {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().unwrap();
        request.headers_mut().insert("x-auth-token", bed.admin.token.parse().unwrap());
        bed.router.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    assert_eq!(get("/v3/projects").await, 200);
    assert_eq!(get("/v3/nothing").await, 404);
    assert_eq!(get("/v3").await, 404);
    assert_eq!(get("/v3/").await, 404);
}
