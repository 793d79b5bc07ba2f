"""The identity commands of `openstack`: who is who, and who may what."""

import datetime
import secrets

import pytest

from command_line import CommandLine
from login import Login
from shown import expect


@pytest.fixture
def project(admin_cli, name):
    admin_cli.do(f"project create {name}")
    yield name
    admin_cli.do(f"project delete {name}")


@pytest.fixture
def user(admin_cli, name):
    """Name of a user whose password is `before`."""
    admin_cli.do(f"user create --password before {name}")
    yield name
    admin_cli.do(f"user delete {name}")


def test_a_token_says_whose_it_is_and_until_when_it_is_good(cli, tenant):
    token = cli.json("token issue")
    expect(token, {"project_id": tenant.project_id, "user_id": tenant.user_id})
    expires = datetime.datetime.strptime(token["expires"], "%Y-%m-%dT%H:%M:%S%z")
    assert expires > datetime.datetime.now(datetime.timezone.utc)


def test_the_catalog_leads_to_identity_and_network(cli, network_url):
    services = {row["Type"]: row for row in cli.json("catalog list")}
    assert {"identity", "network"} <= set(services)
    [public] = [row for row in services["network"]["Endpoints"] if row["interface"] == "public"]
    assert public["url"].rstrip("/") == network_url
    assert cli.json("catalog show network")["type"] == "network"


def test_services_endpoints_and_regions_are_listed_for_an_administrator(admin_cli):
    assert "network" in {row["Type"] for row in admin_cli.json("service list")}
    assert "network" in {row["Service Type"] for row in admin_cli.json("endpoint list")}
    assert admin_cli.json("region list")


def test_a_project_is_created_shown_listed_changed_and_deleted(admin_cli, name):
    made = admin_cli.json(f"project create --description first {name}")
    expect(made, {"name": name, "description": "first", "enabled": True, "domain_id": "default"})
    assert admin_cli.json(f"project show {made['id']}")["name"] == name
    assert made["id"] in {row["ID"] for row in admin_cli.json("project list --long")}
    admin_cli.do(f"project set --name {name}-new --description second --disable {name}")
    expect(admin_cli.json(f"project show {name}-new"), {"id": made["id"], "description": "second", "enabled": False})
    admin_cli.do(f"project delete {name}-new")
    admin_cli.refusal(f"project show {made['id']}")


def test_a_project_name_is_used_once(admin_cli, project):
    assert "409" in admin_cli.refusal(f"project create {project}")
    assert admin_cli.json(f"project create --or-show {project}")["name"] == project


def test_a_user_is_created_shown_listed_changed_and_deleted(admin_cli, project, name):
    made = admin_cli.json(
        f"user create --project {project} --password secret --email a@example.org --description first {name}")
    expect(made, {"name": name, "email": "a@example.org", "description": "first", "enabled": True})
    assert "password" not in made
    assert admin_cli.json(f"user show {name}")["id"] == made["id"]
    assert made["id"] in {row["ID"] for row in admin_cli.json("user list --long")}
    admin_cli.do(f"user set --name {name}-new --email b@example.org --disable {name}")
    changed = admin_cli.json(f"user show {made['id']}")
    expect(changed, {"name": f"{name}-new", "email": "b@example.org", "enabled": False})
    admin_cli.do(f"user delete {name}-new")
    admin_cli.refusal(f"user show {made['id']}")


def test_roles_are_given_listed_and_taken_away(admin_cli, project, user):
    admin_cli.do(f"role add --project {project} --user {user} reader")
    rows = admin_cli.json(f"role assignment list --project {project} --user {user} --names")
    assert [(row["Role"], row["User"], row["Project"]) for row in rows] == [
        ("reader", f"{user}@Default", f"{project}@Default")]
    admin_cli.do(f"role remove --project {project} --user {user} reader")
    assert admin_cli.json(f"role assignment list --project {project} --user {user}") == []


def test_the_usual_roles_exist_and_more_are_created_and_deleted(admin_cli, name):
    assert {"admin", "manager", "member", "reader", "service"} <= {row["Name"] for row in admin_cli.json("role list")}
    made = admin_cli.json(f"role create {name}")
    assert admin_cli.json(f"role show {name}")["id"] == made["id"]
    admin_cli.do(f"role set --name {name}-new {name}")
    admin_cli.do(f"role delete {name}-new")
    admin_cli.refusal(f"role show {made['id']}")


def test_a_role_in_a_project_is_what_a_login_to_it_needs(admin_cli, admin_login, project, user):
    project_id = admin_cli.json(f"project show {project}")["id"]
    login = Login.with_password(admin_login.auth_url, user, "before", project_id=project_id, region=admin_login.region)
    with CommandLine(login) as theirs:
        assert "401" in theirs.refusal("token issue")
    admin_cli.do(f"role add --project {project} --user {user} member")
    with CommandLine(login) as theirs:
        assert theirs.json("token issue")["project_id"] == project_id
        assert [row["Name"] for row in theirs.json("project list --my-projects")] == [project]


def test_a_changed_password_replaces_the_old_one(admin_cli, admin_login, project, user):
    project_id = admin_cli.json(f"project show {project}")["id"]
    admin_cli.do(f"role add --project {project} --user {user} member")

    def login(password):
        return CommandLine(Login.with_password(
            admin_login.auth_url, user, password, project_id=project_id, region=admin_login.region))

    with login("before") as theirs:
        theirs.do("token issue")
        theirs.do("user password set --original-password before --password between")
    admin_cli.do(f"user set --password after {user}")
    with login("between") as theirs:
        assert "401" in theirs.refusal("token issue")
    with login("after") as theirs:
        theirs.do("token issue")


def test_a_disabled_user_does_not_log_in(admin_cli, admin_login, project, user):
    project_id = admin_cli.json(f"project show {project}")["id"]
    admin_cli.do(f"role add --project {project} --user {user} member")
    admin_cli.do(f"user set --disable {user}")
    login = Login.with_password(admin_login.auth_url, user, "before", project_id=project_id)
    with CommandLine(login) as theirs:
        assert "401" in theirs.refusal("token issue")


def test_an_application_credential_logs_in_as_its_owner_until_it_is_deleted(cli, tenant, name):
    secret = secrets.token_hex(8)
    made = cli.json(f"application credential create --secret {secret} --role member --description first {name}")
    expect(made, {"Name": name, "Secret": secret, "Project ID": tenant.project_id, "Description": "first"})
    assert secret not in cli.do(f"application credential show {name}")
    assert made["ID"] in {row["ID"] for row in cli.json("application credential list")}

    login = Login.with_application_credential(tenant.login.auth_url, made["ID"], secret, tenant.login.region)
    with CommandLine(login) as theirs:
        expect(theirs.json("token issue"), {"project_id": tenant.project_id, "user_id": tenant.user_id})
        theirs.do(f"vpn ike policy create {name}")
    assert cli.json(f"vpn ike policy show {name}")["Project"] == tenant.project_id
    cli.do(f"vpn ike policy delete {name}")

    cli.do(f"application credential delete {name}")
    with CommandLine(login) as theirs:
        theirs.refusal("token issue")


def test_a_wrong_secret_is_refused(cli, tenant, name):
    made = cli.id(f"application credential create {name}")
    wrong = Login.with_application_credential(tenant.login.auth_url, made, "wrong", tenant.login.region)
    with CommandLine(wrong) as theirs:
        assert "401" in theirs.refusal("token issue")
    cli.do(f"application credential delete {name}")


def test_a_member_does_not_manage_users_projects_or_roles(cli, sdk, admin, tenant, name):
    for line in (f"user create {name}", f"project create {name}", f"role create {name}", "user list"):
        assert "403" in cli.refusal(line), line
    # `role add` says nothing when it is refused; the request itself tells.
    role = admin.identity.find_role("admin").id
    grant = f"/projects/{tenant.project_id}/users/{tenant.user_id}/roles/{role}"
    assert sdk.identity.put(grant).status_code == 403


def test_a_domain_is_listed_and_shown(admin_cli):
    assert "Default" in {row["Name"] for row in admin_cli.json("domain list")}
    assert admin_cli.json("domain show default")["name"] == "Default"
