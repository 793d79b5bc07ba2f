//! Paths and operations.

use super::name;
use karez_model::resource::Family;
use karez_model::{Kind, Resource};
use serde_json::{Map, Value as Json, json};

/// The paths of a resource.
pub(super) fn of(resource: &Resource, paths: &mut Map<String, Json>) {
    let (name, member, collection) = (name(resource.kind), resource.member, resource.collection);
    let base = format!("/v2.0/{}", resource.path);
    let one = envelope(member, &name);
    let mut many = json!({
        "get": {
            "operationId": format!("list_{collection}"),
            "summary": format!("Lists {collection}"),
            "parameters": list_parameters(resource),
            "responses": answers("200", &json!({
                "type": "object",
                "properties": {collection: {"type": "array", "items": reference(&name)},
                    format!("{collection}_links"): {"type": "array", "items": {"type": "object"}}},
            })),
        },
    });
    let mut item = json!({
        "parameters": [id()],
        "get": {
            "operationId": format!("show_{member}"),
            "summary": format!("Shows a {member}"),
            "parameters": [fields()],
            "responses": answers("200", &one),
        },
        "delete": {
            "operationId": format!("delete_{member}"),
            "summary": format!("Deletes a {member}"),
            "responses": answers("204", &Json::Null),
        },
    });
    if resource.kind != Kind::Agent {
        let create = envelope(member, &format!("{name}Create"));
        let create = if resource.family == Family::Core {
            let list = json!({"type": "array", "items": reference(&format!("{name}Create"))});
            json!({"oneOf": [create, {"type": "object", "required": [collection], "properties": {collection: list}}]})
        } else {
            create
        };
        many["post"] = json!({
            "operationId": format!("create_{member}"),
            "summary": format!("Creates a {member}"),
            "requestBody": body(&create),
            "responses": answers("201", &one),
        });
    }
    if resource.attributes.iter().any(|attribute| attribute.put) {
        item["put"] = json!({
            "operationId": format!("update_{member}"),
            "summary": format!("Changes a {member}"),
            "requestBody": body(&envelope(member, &format!("{name}Update"))),
            "responses": answers("200", &one),
        });
    }
    paths.insert(base.clone(), many);
    paths.insert(format!("{base}/{{id}}"), item);
    if resource.is_taggable() {
        tags(resource, &base, paths);
    }
}

/// The paths that are no resource of their own.
pub(super) fn others(paths: &mut Map<String, Json>) {
    let interface = json!({"type": "object", "properties": {
        "subnet_id": {"type": "string", "format": "uuid"}, "port_id": {"type": "string", "format": "uuid"}}});
    let routes = envelope("router", "RouterUpdate");
    for (action, summary, given) in [
        ("add_router_interface", "Adds an interface", &interface),
        ("remove_router_interface", "Removes an interface", &interface),
        ("add_extraroutes", "Adds extra routes", &routes),
        ("remove_extraroutes", "Removes extra routes", &routes),
    ] {
        let path = format!("/v2.0/routers/{{id}}/{action}");
        action_path(paths, &path, "put", action, summary, Some(given), "200");
    }
    let id_body =
        |key: &str| json!({"type": "object", "required": [key], "properties": {key: {"type": "string"}}});
    let bind = json!({"type": "object", "required": ["service_profile"], "properties": {"service_profile": id_body("id")}});
    let profiles = "/v2.0/flavors/{id}/service_profiles";
    action_path(
        paths,
        profiles,
        "post",
        "bind_service_profile",
        "Gives a flavor a service profile",
        Some(&bind),
        "201",
    );
    let profile = "/v2.0/flavors/{id}/service_profiles/{profile_id}";
    action_path(
        paths,
        profile,
        "delete",
        "unbind_service_profile",
        "Takes a service profile away",
        None,
        "204",
    );
    let providers = "/v2.0/flavors/{id}/next_providers";
    action_path(
        paths,
        providers,
        "get",
        "list_next_providers",
        "Lists what would serve the flavor",
        None,
        "200",
    );
    let routers = "/v2.0/agents/{id}/vpn-routers";
    action_path(paths, routers, "get", "list_vpn_routers", "Lists an agent's VPN routers", None, "200");
    let given = id_body("router_id");
    action_path(paths, routers, "post", "add_vpn_router", "Gives an agent a VPN router", Some(&given), "201");
    let one = "/v2.0/agents/{id}/vpn-routers/{router_id}";
    action_path(paths, one, "delete", "remove_vpn_router", "Takes a VPN router from an agent", None, "204");
    let agents = "/v2.0/routers/{id}/vpn-agents";
    action_path(paths, agents, "get", "list_vpn_agents", "Lists the agents of a VPN router", None, "200");
    let quota = json!({"type": "object", "required": ["quota"], "properties": {"quota": {"type": "object",
        "additionalProperties": {"type": "integer", "minimum": -1}}}});
    let own = "/v2.0/quotas/{project_id}";
    action_path(paths, own, "get", "show_quota", "Shows a project's quota", None, "200");
    action_path(paths, own, "put", "update_quota", "Sets a project's quota", Some(&quota), "200");
    action_path(paths, own, "delete", "reset_quota", "Puts a quota back to the default", None, "204");
    for (path, id, summary) in [
        ("/v2.0/quotas", "list_quotas", "Lists quotas that differ from the default"),
        ("/v2.0/quotas/{project_id}/default", "show_default_quota", "Shows the default quota"),
        ("/v2.0/quotas/{project_id}/details", "show_quota_details", "Shows a quota with its use"),
        ("/v2.0/extensions", "list_extensions", "Lists extensions"),
        ("/v2.0/extensions/{alias}", "show_extension", "Shows an extension"),
        ("/v2.0/service-providers", "list_service_providers", "Lists service providers"),
        ("/v2.0/availability_zones", "list_availability_zones", "Lists availability zones"),
        ("/v2.0/", "list_core_resources", "Lists the core resources"),
    ] {
        action_path(paths, path, "get", id, summary, None, "200");
    }
    for (path, id, summary) in [
        ("/", "list_versions", "Lists API versions"),
        ("/healthcheck", "healthcheck", "Says whether the server answers"),
        (
            "/readyz",
            "readyz",
            "Says whether the server can do its work, and what of it is missing (then 503)",
        ),
        ("/metrics", "metrics", "Metrics in the format of Prometheus"),
        ("/openapi.json", "openapi", "This document"),
    ] {
        action_path(paths, path, "get", id, summary, None, "200");
        paths[path]["get"]["security"] = json!([]);
    }
}

fn action_path(
    paths: &mut Map<String, Json>,
    path: &str,
    verb: &str,
    id: &str,
    summary: &str,
    given: Option<&Json>,
    status: &str,
) {
    let parameter = |part: &str| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
    };
    let parameters: Vec<Json> = path.split('/').filter_map(parameter).collect();
    let mut operation =
        json!({"operationId": id, "summary": summary, "responses": answers(status, &json!({}))});
    if let Some(given) = given {
        operation["requestBody"] = body(given);
    }
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    let entry = paths.entry(path).or_insert_with(|| json!({}));
    entry[verb] = operation;
}

fn tags(resource: &Resource, base: &str, paths: &mut Map<String, Json>) {
    let member = resource.member;
    let list = json!({"type": "object", "required": ["tags"], "properties": {"tags": {"type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 255}, "maxItems": 50}}});
    let all = format!("{base}/{{id}}/tags");
    action_path(paths, &all, "get", &format!("list_{member}_tags"), "Lists tags", None, "200");
    action_path(paths, &all, "put", &format!("set_{member}_tags"), "Replaces all tags", Some(&list), "200");
    action_path(paths, &all, "post", &format!("add_{member}_tags"), "Adds tags", Some(&list), "201");
    action_path(paths, &all, "delete", &format!("clear_{member}_tags"), "Removes all tags", None, "204");
    let one = format!("{base}/{{id}}/tags/{{tag}}");
    action_path(
        paths,
        &one,
        "get",
        &format!("check_{member}_tag"),
        "Says whether a tag is there",
        None,
        "204",
    );
    action_path(paths, &one, "put", &format!("add_{member}_tag"), "Adds a tag", None, "201");
    action_path(paths, &one, "delete", &format!("remove_{member}_tag"), "Removes a tag", None, "204");
}

fn list_parameters(resource: &Resource) -> Json {
    let query = |name: &str, schema: Json, description: &str| json!({"name": name, "in": "query", "required": false, "schema": schema, "description": description});
    let texts = json!({"type": "array", "items": {"type": "string"}});
    let mut parameters = vec![
        fields(),
        query("limit", json!({"type": "integer", "minimum": 0}), "Size of a page; 0 for all."),
        query("marker", json!({"type": "string"}), "The id that the page begins after."),
        query("page_reverse", json!({"type": "boolean"}), "Go backwards."),
        query("sort_key", texts.clone(), "Attributes to sort by; each needs its sort_dir."),
        query(
            "sort_dir",
            json!({"type": "array", "items": {"enum": ["asc", "desc"]}}),
            "A direction a sort_key.",
        ),
    ];
    for attribute in resource.attributes.iter().filter(|attribute| attribute.is_filter()) {
        parameters.push(query(attribute.name, texts.clone(), "Only objects with one of these values."));
    }
    Json::Array(parameters)
}

fn fields() -> Json {
    json!({"name": "fields", "in": "query", "required": false, "description": "Only these attributes.",
        "schema": {"type": "array", "items": {"type": "string"}}})
}

pub(super) fn id() -> Json {
    json!({"name": "id", "in": "path", "required": true, "schema": {"type": "string"}})
}

pub(super) fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn envelope(key: &str, schema: &str) -> Json {
    json!({"type": "object", "required": [key], "properties": {key: reference(schema)}})
}

fn body(schema: &Json) -> Json {
    json!({"required": true, "content": {"application/json": {"schema": schema}}})
}

pub(super) fn answers(status: &str, schema: &Json) -> Json {
    let error = json!({"description": "A fault", "content": {"application/json": {"schema": reference("NeutronError")}}});
    let mut done = json!({"description": "Done"});
    if !schema.is_null() {
        done["content"] = json!({"application/json": {"schema": schema}});
    }
    json!({status: done, "default": error})
}
