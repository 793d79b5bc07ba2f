"""The identity mode `keystone`: `karez server` asks a real Keystone whose token it is."""

import secrets
import time

import pytest
import requests

from keystone_process import REGION, Keystone
from login import Login, new_tenant
from scene import ExternalNetwork, Site
from server import Server, karez
from shown import expect
from vpn_kinds import KINDS, Chain

CACHE_SECONDS = 10
# How long a test waits for what has to happen within the life of the cache.
BOUND_SECONDS = CACHE_SECONDS + 10
URL = "/v2.0/vpn/ikepolicies"

CONFIGURATION = """
[api]
listen = "127.0.0.1:0"
[store]
url = "sqlite:{directory}/karez.db"
[secrets]
key_file = "{directory}/secret.key"
[identity]
mode = "keystone"
[identity.keystone]
auth_url = "{auth_url}"
username = "karez"
password = "{password}"
user_domain_name = "Default"
project_name = "service"
project_domain_name = "Default"
region = "{region}"
cache_seconds = {cache_seconds}
"""


class Cloud:
    """Keystone, Karez, and the administrator of both."""

    def __init__(self, keystone, server):
        self.keystone = keystone
        self.karez = server
        self.admin_login = keystone.admin_login()
        self.admin = self.admin_login.sdk()

    def get(self, token):
        """One list with a token, without what a library would retry."""
        return requests.get(self.karez.url + URL, headers={"X-Auth-Token": token}, timeout=10)

    def status_becomes(self, token, wanted):
        """Asks again until the answer has this status; the cache may hold an older opinion for its life."""
        end = time.monotonic() + BOUND_SECONDS
        while (answer := self.get(token)).status_code != wanted:
            assert time.monotonic() < end, f"still {answer.status_code} after {BOUND_SECONDS} s, not {wanted}"
            time.sleep(0.1)
        return answer


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    directory = tmp_path_factory.mktemp("keystone")
    with Keystone(directory) as keystone:
        identity = keystone.admin_login().sdk().identity
        configuration = directory / "karez.toml"
        configuration.write_text(CONFIGURATION.format(
            directory=directory, auth_url=keystone.auth_url, password=make_service_user(identity), region=REGION,
            cache_seconds=CACHE_SECONDS))
        with Server([karez(), "server", "--config", configuration], directory / "karez.log") as server:
            service = identity.create_service(name="karez", type="network")
            identity.create_endpoint(
                service_id=service.id, interface="public", url=server.url, region_id=REGION)
            yield Cloud(keystone, server)


def make_service_user(identity) -> str:
    """The least that a service needs to validate tokens, the role `service` in some project; answers its password."""
    password = secrets.token_hex(12)
    project = identity.create_project(name="service", domain_id="default")
    user = identity.create_user(name="karez", password=password, domain_id="default")
    role = identity.find_role("service") or identity.create_role(name="service")
    identity.assign_project_role_to_user(project.id, user.id, role.id)
    return password


@pytest.fixture(scope="module")
def member(cloud):
    with new_tenant(cloud.admin, cloud.admin_login, "member") as made:
        yield made


@pytest.fixture(scope="module")
def colleague(cloud, member):
    """Makes the login of a user with another role in the member's project."""
    project = cloud.admin.identity.get_project(member.project_id)
    made = []

    def login(role):
        made.append(new_tenant(cloud.admin, cloud.admin_login, role, project))
        return made[-1].__enter__().login

    yield login
    for each in made:
        each.__exit__(None, None, None)


@pytest.fixture(scope="module")
def connection(cloud, member):
    """A member's connection, made through every object below it."""
    sdk = member.login.sdk()
    with ExternalNetwork(cloud.admin, "200.200.128.0/24") as external, Site(sdk, external, "10.10.10.0/24") as site:
        with Chain(sdk, site) as chain:
            body = chain.body(KINDS["ipsec_site_connection"], "joint") | {"psk": "a-secret-for-two"}
            yield sdk.network.create_vpn_ipsec_site_connection(**body)


def test_a_member_owns_what_it_makes_and_an_administrator_sees_it(cloud, member, connection):
    expect(connection, {"project_id": member.project_id, "status": "PENDING_CREATE", "psk": "a-secret-for-two"})
    assert connection.id in {each.id for each in cloud.admin.network.vpn_ipsec_site_connections()}


@pytest.mark.parametrize("role, status", [("manager", 201), ("member", 201), ("reader", 403), ("service", 403)])
def test_the_role_decides_who_may_create(colleague, role, status):
    network = colleague(role).sdk().network
    answer = network.post("/vpn/ikepolicies", json={"ikepolicy": {"name": role}})
    assert answer.status_code == status
    if status == 201:
        network.delete_vpn_ike_policy(answer.json()["ikepolicy"]["id"])
    else:
        assert answer.json()["NeutronError"]["type"] == "PolicyNotAuthorized"


def test_a_reader_reads_everything_but_the_secret(colleague, connection):
    network = colleague("reader").sdk().network
    shown = network.get(f"/vpn/ipsec-site-connections/{connection.id}")
    assert shown.json()["ipsec_site_connection"]["name"] == "joint"
    listed = network.get("/vpn/ipsec-site-connections")
    assert [each["id"] for each in listed.json()["ipsec_site_connections"]] == [connection.id]
    assert "a-secret-for-two" not in shown.text + listed.text


def test_another_project_sees_nothing(cloud, connection):
    with new_tenant(cloud.admin, cloud.admin_login, "member") as stranger:
        network = stranger.login.sdk().network
        assert list(network.vpn_ipsec_site_connections()) == []
        answer = network.get(f"/vpn/ipsec-site-connections/{connection.id}")
        assert (answer.status_code, answer.json()["NeutronError"]["type"]) == (404, "IPsecSiteConnectionNotFound")


@pytest.mark.parametrize("token", ["", "no-such-token", "gAAAAA" + "x" * 400])
def test_a_wrong_token_is_refused_with_the_address_of_keystone(cloud, token):
    answer = cloud.get(token)
    assert answer.status_code == 401
    root = cloud.keystone.auth_url.removesuffix("/v3")
    assert answer.headers["WWW-Authenticate"].startswith(f'Keystone uri="{root}')
    expect(answer.json()["error"], {"code": 401, "title": "Unauthorized"})


def test_a_token_revoked_before_its_first_use_is_refused_at_once(cloud, member):
    session = member.login.session()
    token = session.get_token()
    revoke(session, token)
    assert cloud.get(token).status_code == 401


def test_a_token_revoked_after_use_is_refused_within_the_life_of_the_cache(cloud, member):
    session = member.login.session()
    token = session.get_token()
    assert cloud.get(token).status_code == 200
    revoke(session, token)
    cloud.status_becomes(token, 401)


def test_a_system_token_belongs_to_no_project(cloud, connection):
    token = cloud.keystone.system_login().session().get_token()
    listed = cloud.get(token)
    assert (listed.status_code, listed.json()) == (200, {"ikepolicies": []})

    def create(body):
        return requests.post(
            cloud.karez.url + URL, headers={"X-Auth-Token": token}, json={"ikepolicy": body}, timeout=10)

    assert create({}).status_code == 400
    refused = create({"project_id": connection.project_id})
    assert (refused.status_code, refused.json()["NeutronError"]["type"]) == (403, "InvalidScope")


def test_an_application_credential_of_keystone_is_as_good_as_a_password(member):
    sdk = member.login.sdk()
    made = sdk.identity.create_application_credential(member.user_id, name="robot", secret="s3cret")
    login = Login.with_application_credential(member.login.auth_url, made.id, "s3cret", REGION)
    policy = login.sdk().network.create_vpn_ike_policy(name="robot")
    assert policy.project_id == member.project_id
    sdk.network.delete_vpn_ike_policy(policy)
    sdk.identity.delete_application_credential(member.user_id, made)


def test_without_keystone_known_tokens_work_for_the_life_of_the_cache_and_unknown_ones_are_told_the_truth(
        cloud, member):
    known, unknown = member.login.session().get_token(), member.login.session().get_token()
    assert known != unknown
    assert cloud.get(known).status_code == 200
    cloud.keystone.stop()
    try:
        assert cloud.get(known).status_code == 200
        refused = cloud.get(unknown)
        assert refused.status_code == 503
        assert "identity" in refused.text.lower() or "keystone" in refused.text.lower()
        cloud.status_becomes(known, 503)
    finally:
        cloud.keystone.start_again()
    cloud.status_becomes(known, 200)
    assert cloud.get(unknown).status_code == 200


def test_the_log_of_all_this_holds_no_token_and_no_secret(cloud, member, connection):
    token = member.login.session().get_token()
    assert cloud.get(token).status_code == 200
    log = cloud.karez.output()
    assert "a-secret-for-two" not in log
    assert token not in log


def revoke(session, token):
    session.delete(
        "/auth/tokens", endpoint_filter={"service_type": "identity"}, headers={"X-Subject-Token": token})
