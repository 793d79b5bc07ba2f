"""openstacksdk on the five VPN kinds: find, get, list, create, update, delete, filters and pages."""

import contextlib

import pytest
from openstack import exceptions

from shown import expect
from vpn_kinds import every_kind

# Attributes that the SDK calls otherwise.
RENAMED = {"admin_state_up": "is_admin_state_up"}


class Proxy:
    """The SDK's methods for one kind."""

    def __init__(self, network, kind):
        self.find = getattr(network, f"find_{kind.sdk}")
        self.get = getattr(network, f"get_{kind.sdk}")
        self.list = getattr(network, kind.sdk_plural)
        self.create = getattr(network, f"create_{kind.sdk}")
        self.update = getattr(network, f"update_{kind.sdk}")
        self.delete = getattr(network, f"delete_{kind.sdk}")

    @contextlib.contextmanager
    def made(self, bodies):
        made = [self.create(**body) for body in bodies]
        yield made
        for each in made:
            self.delete(each)


@pytest.fixture
def proxy(sdk, kind):
    return Proxy(sdk.network, kind)


def sdk_names(body):
    return {RENAMED.get(key, key): value for key, value in body.items()}


@every_kind
def test_a_created_object_is_got_by_id_and_found_by_name_and_id(proxy, kind, chain, tenant, name):
    body = chain.body(kind, name)
    made = proxy.create(**body)
    whole = {key: value for key, value in body.items() if key not in ("lifetime", "dpd")}
    expect(made, {**whole, "project_id": tenant.project_id})
    for same in (proxy.get(made.id), proxy.find(name), proxy.find(made.id)):
        expect(same, {**whole, "id": made.id})
    proxy.delete(made.id)


@every_kind
def test_an_update_sends_and_changes_only_what_differs(proxy, kind, chain, name):
    with proxy.made([chain.body(kind, name)]) as [made]:
        changed = proxy.update(made, **chain.change(kind))
        wanted = sdk_names(chain.body(kind, name) | chain.change(kind))
        wanted = {key: value for key, value in wanted.items() if key not in ("lifetime", "dpd")}
        expect(changed, wanted)
        expect(proxy.get(made.id), wanted)
        expect(proxy.update(made.id, name=f"{name}-new"), {**wanted, "name": f"{name}-new"})


@every_kind
def test_a_deleted_object_is_gone_and_a_second_delete_says_so(proxy, kind, chain, name):
    made = proxy.create(**chain.body(kind, name))
    proxy.delete(made)
    assert proxy.find(name) is None
    with pytest.raises(exceptions.NotFoundException):
        proxy.get(made.id)
    with pytest.raises(exceptions.NotFoundException):
        proxy.delete(made.id, ignore_missing=False)
    proxy.delete(made.id)


@every_kind
def test_a_name_that_nothing_has_is_not_found(proxy, kind):
    assert proxy.find("no-such-name") is None
    with pytest.raises(exceptions.NotFoundException):
        proxy.find("no-such-name", ignore_missing=False)


@every_kind
def test_a_name_that_two_have_is_refused(proxy, kind, chain, name):
    with proxy.made([chain.body(kind, name)] * 2), pytest.raises(exceptions.DuplicateResource):
        proxy.find(name)


@every_kind
def test_pages_of_two_give_every_object_once(proxy, kind, chain, name):
    with proxy.made([chain.body(kind, f"{name}-{number}") for number in range(5)]) as made:
        listed = [each.id for each in proxy.list(limit=2) if each.name.startswith(name)]
        assert len(listed) == 5
        assert set(listed) == {each.id for each in made}
        assert [each.id for each in proxy.list(limit=2) if each.id in listed] == listed


@every_kind
def test_a_list_is_filtered_by_name_and_by_another_attribute(proxy, kind, chain, name):
    bodies = [chain.body(kind, f"{name}-{number}") for number in range(3)]
    value = bodies[0][kind.filtered_by]
    with proxy.made(bodies) as made:
        assert [each.id for each in proxy.list(name=f"{name}-1")] == [made[1].id]
        assert {each.id for each in proxy.list(**{kind.filtered_by: value})} >= {each.id for each in made}
        assert list(proxy.list(**{kind.filtered_by: "198.51.100.1"})) == []
        assert [each.id for each in proxy.list(name=f"{name}-1", **{kind.filtered_by: value})] == [made[1].id]


@every_kind
def test_a_filter_for_another_project_gives_nothing(proxy, kind, chain, neighbour, name):
    with proxy.made([chain.body(kind, name)]):
        assert list(proxy.list(project_id=neighbour.project_id)) == []


@every_kind
def test_fields_restrict_what_is_sent(sdk, proxy, kind, chain, name):
    with proxy.made([chain.body(kind, name)]) as [made]:
        path = type(made).base_path
        [row] = sdk.network.get(path, params={"name": name, "fields": ["id", "name"]}).json()[kind.plural]
        assert row == {"id": made.id, "name": name}
        assert sdk.network.get(f"{path}/{made.id}", params={"fields": "name"}).json()[kind.singular] == {"name": name}


def test_endpoint_groups_are_filtered_by_their_type(sdk, name):
    group = sdk.network.create_vpn_endpoint_group(name=name, type="cidr", endpoints=["10.9.0.0/16"])
    assert [each.id for each in sdk.network.vpn_endpoint_groups(name=name, type="cidr")] == [group.id]
    assert list(sdk.network.vpn_endpoint_groups(name=name, type="subnet")) == []
    sdk.network.delete_vpn_endpoint_group(group)


def test_a_lifetime_keeps_what_an_update_leaves_out(sdk, name):
    policy = sdk.network.create_vpn_ike_policy(name=name, lifetime={"value": 7200})
    assert policy.lifetime == {"units": "seconds", "value": 7200}
    assert sdk.network.update_vpn_ike_policy(policy, lifetime={"units": "seconds"}).lifetime["value"] == 7200
    sdk.network.delete_vpn_ike_policy(policy)


def test_a_new_service_has_its_outer_address_at_once(sdk, site, name):
    service = sdk.network.create_vpn_service(name=name, router_id=site.router.id, subnet_id=site.subnet.id)
    expect(service, {
        "external_v4_ip": site.outer_address, "external_v6_ip": None, "status": "PENDING_CREATE",
        "is_admin_state_up": True})
    sdk.network.delete_vpn_service(service)


@pytest.mark.parametrize("wrong, error", [
    ({"ikepolicy_id": "00000000-0000-0000-0000-000000000000"}, exceptions.NotFoundException),
    ({"peer_cidrs": []}, exceptions.BadRequestException),
    ({"dpd": {"interval": 30, "timeout": 20}}, exceptions.BadRequestException),
    ({"mtu": 20}, exceptions.BadRequestException),
    ({"psk": None}, exceptions.BadRequestException),
    ({"no_such_attribute": 1}, exceptions.BadRequestException),
])
def test_a_refused_connection_raises_what_the_status_means(sdk, chain, name, wrong, error):
    body = {
        "name": name, "vpnservice_id": chain.service, "ikepolicy_id": chain.ike, "ipsecpolicy_id": chain.ipsec,
        "peer_address": "200.200.128.151", "peer_id": "a", "psk": "s3cret", "peer_cidrs": ["20.20.20.0/24"]} | wrong
    answer = sdk.network.post("/vpn/ipsec-site-connections", json={"ipsec_site_connection": body})
    with pytest.raises(error):
        exceptions.raise_from_response(answer)
    assert set(answer.json()["NeutronError"]) == {"type", "message", "detail"}


def test_every_answer_names_its_request(sdk):
    answer = sdk.network.get("/vpn/ikepolicies")
    assert answer.headers["x-openstack-request-id"].startswith("req-")


def test_the_cloud_layer_finds_the_vpn_extension(sdk):
    assert sdk.network.find_extension("vpnaas").alias == "vpnaas"
    assert sdk.network.find_extension("no-such-extension") is None
