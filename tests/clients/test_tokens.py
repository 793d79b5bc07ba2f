"""What the network service makes of a token, over plain HTTP as a client library sends it."""

import datetime

import pytest
import requests

URL = "/v2.0/vpn/ikepolicies"


@pytest.fixture
def get(network_url):
    """Sends one GET with a token, and with nothing that a library would add or retry."""
    def send(token, path=URL):
        headers = {} if token is None else {"X-Auth-Token": token}
        return requests.get(network_url + path, headers=headers, timeout=10)

    return send


@pytest.mark.parametrize("token", [None, "", "no-such-token", "gAAAAA" + "x" * 400])
def test_without_a_good_token_the_answer_is_401_and_says_where_to_get_one(get, admin_login, token):
    answer = get(token)
    assert answer.status_code == 401
    scheme, _, uri = answer.headers["WWW-Authenticate"].partition(" ")
    assert scheme == "Keystone" and uri.startswith('uri="http')
    assert answer.headers["Content-Type"].startswith("application/json")
    error = answer.json()["error"]
    assert (error["code"], error["title"]) == (401, "Unauthorized")
    assert error["message"]


def test_the_versions_need_no_token(get):
    assert get(None, "/").json()["versions"][0]["id"] == "v2.0"


def test_a_revoked_token_is_refused_from_then_on(get, tenant):
    session = tenant.login.session()
    token = session.get_token()
    assert get(token).status_code == 200
    session.delete(
        "/auth/tokens", endpoint_filter={"service_type": "identity"}, headers={"X-Subject-Token": token})
    assert get(token).status_code == 401


def test_revoking_one_token_leaves_the_others_good(get, tenant):
    first, second = tenant.login.session(), tenant.login.session()
    assert first.get_token() != second.get_token()
    first.delete(
        "/auth/tokens", endpoint_filter={"service_type": "identity"}, headers={"X-Subject-Token": first.get_token()})
    assert get(second.get_token()).status_code == 200


def test_a_token_lives_between_five_minutes_and_a_day(tenant):
    access = tenant.login.session().auth.get_access(tenant.login.session())
    life = access.expires - access.issued
    assert datetime.timedelta(minutes=5) <= life <= datetime.timedelta(days=1)


def test_a_library_logs_in_again_when_its_token_was_revoked(tenant):
    sdk = tenant.login.sdk()
    assert list(sdk.network.vpn_ike_policies()) == []
    token = sdk.session.get_token()
    sdk.identity.delete("/auth/tokens", headers={"X-Subject-Token": token})
    assert list(sdk.network.vpn_ike_policies()) == []
    assert sdk.session.get_token() != token


def test_the_tokens_of_a_user_without_the_role_any_more_are_refused(get, admin, tenant):
    token = tenant.login.session().get_token()
    role = admin.identity.find_role("member").id
    admin.identity.unassign_project_role_from_user(tenant.project_id, tenant.user_id, role)
    try:
        assert get(token).status_code == 401
    finally:
        admin.identity.assign_project_role_to_user(tenant.project_id, tenant.user_id, role)
