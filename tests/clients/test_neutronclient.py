"""python-neutronclient's bindings, which Heat and older scripts use: the VPN kinds, paging, and errors by class."""

import uuid

import pytest
from neutronclient.common import exceptions

from shown import expect
from vpn_kinds import every_kind


class Binding:
    """The client's methods for one kind, without the envelope."""

    def __init__(self, client, kind):
        self._client, self._kind = client, kind

    def create(self, body):
        return self._call("create", self._kind.neutron, {self._kind.singular: body})[self._kind.singular]

    def show(self, called, **params):
        return self._call("show", self._kind.neutron, called, **params)[self._kind.singular]

    def update(self, called, body):
        return self._call("update", self._kind.neutron, called, {self._kind.singular: body})[self._kind.singular]

    def delete(self, called):
        return self._call("delete", self._kind.neutron, called)

    def list(self, **params):
        return self._call("list", self._kind.neutron_plural, **params)[self._kind.plural]

    def pages(self, **params):
        for page in self._call("list", self._kind.neutron_plural, retrieve_all=False, **params):
            yield page[self._kind.plural]

    def _call(self, verb, noun, *arguments, **params):
        return getattr(self._client, f"{verb}_{noun}")(*arguments, **params)


@pytest.fixture
def binding(neutron, kind):
    return Binding(neutron, kind)


@pytest.fixture
def five(binding, kind, chain, name):
    """Five objects, and the start of their names."""
    made = [binding.create(chain.body(kind, f"{name}-{number}")) for number in range(5)]
    yield made
    for each in made:
        binding.delete(each["id"])


def steady(shown):
    """An object without what Karez may say of it at any moment: that no node runs its router."""
    return {key: value for key, value in shown.items() if key not in ("status_reason", "status_detail")}


@every_kind
def test_an_object_is_created_shown_updated_and_deleted(binding, kind, chain, tenant, name):
    body = chain.body(kind, name)
    made = binding.create(body)
    whole = {key: value for key, value in body.items() if key not in ("lifetime", "dpd")}
    expect(made, {**whole, "project_id": tenant.project_id, "tenant_id": tenant.project_id})
    assert uuid.UUID(made["id"]).version == 4
    assert steady(binding.show(made["id"])) == steady(made)
    changed = binding.update(made["id"], chain.change(kind))
    assert steady(changed) == steady(made | chain.change(kind))
    assert steady(binding.show(made["id"])) == steady(changed)
    binding.delete(made["id"])
    with pytest.raises(exceptions.NotFound):
        binding.show(made["id"])
    with pytest.raises(exceptions.NotFound):
        binding.delete(made["id"])
    with pytest.raises(exceptions.NotFound):
        binding.update(made["id"], {})


@every_kind
def test_a_list_is_filtered_sorted_and_reduced_to_fields(binding, kind, five):
    names = [each["name"] for each in five]
    assert [steady(each) for each in binding.list(name=names[2])] == [steady(five[2])]
    assert {each["id"] for each in binding.list(name=names[:2])} == {each["id"] for each in five[:2]}
    assert binding.list(id=five[1]["id"], fields=["name"]) == [{"name": names[1]}]
    assert binding.list(name="no-such-name") == []
    assert {each["id"] for each in binding.list(no_such_parameter="1")} >= {each["id"] for each in five}


@every_kind
def test_a_sorted_list_is_in_order_both_ways(binding, kind, five):
    names = [each["name"] for each in five]
    mine = {"name": names, "sort_key": "name"}
    assert [each["name"] for each in binding.list(**mine, sort_dir="asc")] == names
    assert [each["name"] for each in binding.list(**mine, sort_dir="desc")] == names[::-1]


@every_kind
def test_pages_of_two_are_followed_forward_and_backward(binding, kind, five):
    mine = {"id": [each["id"] for each in five]}
    pages = list(binding.pages(limit=2, **mine))
    assert [len(page) for page in pages][:3] == [2, 2, 1]
    forward = [each["id"] for page in pages for each in page]
    assert sorted(forward) == sorted(mine["id"])
    assert [each["id"] for each in binding.list(limit=2, **mine)] == forward
    backward = list(binding.pages(limit=2, page_reverse=True, marker=forward[-1], **mine))
    assert sorted(each["id"] for page in backward for each in page) == sorted(forward[:-1])


@every_kind
def test_a_full_last_page_ends_the_listing(binding, kind, five):
    ids = [each["id"] for each in five][:4]
    assert sorted(each["id"] for page in binding.pages(limit=2, id=ids) for each in page) == sorted(ids)
    assert binding.list(id=ids, limit=2, marker=str(uuid.uuid4())) == []


def test_extensions_are_listed_and_shown(neutron):
    aliases = {each["alias"] for each in neutron.list_extensions()["extensions"]}
    assert {"vpnaas", "vpn-endpoint-groups", "router"} <= aliases
    expect(neutron.show_extension("vpnaas")["extension"], {"alias": "vpnaas", "name": "VPN service"})
    with pytest.raises(exceptions.NotFound):
        neutron.show_extension("no-such-extension")


def test_what_is_wrong_with_a_request_is_a_bad_request(neutron, name):
    for body in ({"name": 5}, {"no_such_attribute": 1}, {"id": name}, {"lifetime": {"value": 59}}, {"pfs": "group1"}):
        with pytest.raises(exceptions.BadRequest) as refused:
            neutron.create_ikepolicy({"ikepolicy": body})
        assert refused.value.status_code == 400
        assert next(iter(body)) in str(refused.value)


def test_what_is_in_use_is_a_conflict(neutron, chain, site):
    connection = neutron.create_ipsec_site_connection({"ipsec_site_connection": {
        "vpnservice_id": chain.service, "ikepolicy_id": chain.ike, "ipsecpolicy_id": chain.ipsec, "peer_id": "a",
        "peer_address": "200.200.128.151", "peer_cidrs": ["20.20.20.0/24"], "psk": "s3cret"}})
    for refused in (
        lambda: neutron.delete_ikepolicy(chain.ike),
        lambda: neutron.update_ipsecpolicy(chain.ipsec, {"ipsecpolicy": {"name": "new"}}),
        lambda: neutron.delete_vpnservice(chain.service),
        lambda: neutron.remove_interface_router(site.router.id, {"subnet_id": site.subnet.id}),
        lambda: neutron.delete_router(site.router.id),
    ):
        with pytest.raises(exceptions.Conflict):
            refused()
    neutron.delete_ipsec_site_connection(connection["ipsec_site_connection"]["id"])


def test_an_exhausted_quota_has_a_class_of_its_own(neutron, admin_login, tenant):
    admin = admin_login.neutron()
    used = neutron.show_quota_details(tenant.project_id)["quota"]["ikepolicy"]["used"]
    admin.update_quota(tenant.project_id, {"quota": {"ikepolicy": used}})
    with pytest.raises(exceptions.OverQuotaClient):
        neutron.create_ikepolicy({"ikepolicy": {}})
    assert neutron.show_quota(tenant.project_id)["quota"]["ikepolicy"] == used
    admin.delete_quota(tenant.project_id)
    assert neutron.show_quota(tenant.project_id)["quota"]["ikepolicy"] == -1


def test_an_address_that_is_taken_or_outside_has_a_class_of_its_own(neutron, site):
    port = {"network_id": site.network.id, "fixed_ips": [{"ip_address": "10.10.10.1"}]}
    with pytest.raises(exceptions.IpAddressAlreadyAllocatedClient):
        neutron.create_port({"port": port})
    with pytest.raises(exceptions.InvalidIpForNetworkClient):
        neutron.create_port({"port": {**port, "fixed_ips": [{"ip_address": "192.0.2.1"}]}})


def test_missing_and_used_core_objects_have_classes_of_their_own(neutron, site):
    nothing = str(uuid.uuid4())
    with pytest.raises(exceptions.NetworkNotFoundClient):
        neutron.show_network(nothing)
    with pytest.raises(exceptions.PortNotFoundClient):
        neutron.show_port(nothing)
    with pytest.raises(exceptions.NetworkInUseClient):
        neutron.delete_network(site.network.id)
    with pytest.raises(exceptions.NotFound):
        neutron.show_router(nothing)


def test_what_only_administrators_may_is_forbidden(neutron, tenant):
    with pytest.raises(exceptions.Forbidden):
        neutron.update_quota(tenant.project_id, {"quota": {"ikepolicy": 5}})
    with pytest.raises(exceptions.Forbidden):
        neutron.create_network({"network": {"router:external": True}})


def test_networks_subnets_and_ports_are_made_in_bulk_or_not_at_all(neutron, name):
    made = neutron.create_network({"networks": [{"name": f"{name}-1"}, {"name": f"{name}-2"}]})["networks"]
    assert [each["name"] for each in made] == [f"{name}-1", f"{name}-2"]
    subnets = [{"network_id": each["id"], "ip_version": 4, "cidr": "10.30.0.0/24"} for each in made]
    assert len(neutron.create_subnet({"subnets": subnets})["subnets"]) == 2
    with pytest.raises(exceptions.NeutronClientException):
        neutron.create_port({"ports": [{"network_id": made[0]["id"]}, {"network_id": str(uuid.uuid4())}]})
    assert neutron.list_ports(network_id=made[0]["id"])["ports"] == []
    for each in made:
        neutron.delete_network(each["id"])
