"""The core commands that people use around VPN, as a member of a project."""

import pytest

from command_line import CommandLine
from shown import expect

VPN_QUOTAS = ("vpnservice", "ikepolicy", "ipsecpolicy", "ipsec_site_connection", "endpoint_group")


@pytest.fixture
def network(cli, name):
    """Name of a network without subnets."""
    cli.do(f"network create {name}")
    yield name
    cli.do(f"network delete {name}")


@pytest.fixture
def subnet(cli, network):
    """Name of a subnet 10.20.0.0/24; its network has the same name."""
    cli.do(f"subnet create --network {network} --subnet-range 10.20.0.0/24 {network}")
    yield network
    cli.do(f"subnet delete {network}")


@pytest.fixture
def router(cli, name):
    cli.do(f"router create {name}")
    yield name
    cli.do(f"router delete {name}")


def test_a_network_is_created_shown_listed_changed_and_deleted(cli, tenant, name):
    made = cli.json(f"network create --description first {name}")
    expect(made, {
        "name": name, "description": "first", "status": "ACTIVE", "admin_state_up": True, "shared": False,
        "router:external": False, "project_id": tenant.project_id, "subnets": [],
    })
    assert cli.json(f"network show {made['id']}")["name"] == name
    assert [row["ID"] for row in cli.json(f"network list --name {name}")] == [made["id"]]
    assert [row["ID"] for row in cli.json("network list --internal --long") if row["Name"] == name] == [made["id"]]
    cli.do(f"network set --name {name}-new --description second --disable {name}")
    expect(cli.json(f"network show {name}-new"), {
        "description": "second", "admin_state_up": False, "id": made["id"]})
    cli.do(f"network delete {name}-new")
    assert "No Network found" in cli.refusal(f"network show {made['id']}")


def test_external_networks_are_seen_by_every_project_and_made_by_administrators_only(cli, external, name):
    assert external.id in {row["ID"] for row in cli.json("network list --external")}
    assert external.subnet_id in {row["ID"] for row in cli.json(f"subnet list --network {external.name}")}
    assert "403" in cli.refusal(f"network create --external {name}")


def test_a_subnet_has_the_pool_gateway_and_options_it_was_given(cli, network, name):
    made = cli.json(
        f"subnet create --network {network} --subnet-range 10.20.0.0/24 --gateway 10.20.0.254"
        " --allocation-pool start=10.20.0.10,end=10.20.0.20 --dns-nameserver 9.9.9.9 --no-dhcp"
        f" --host-route destination=192.168.0.0/16,gateway=10.20.0.253 {name}-subnet")
    expect(made, {
        "cidr": "10.20.0.0/24", "gateway_ip": "10.20.0.254", "ip_version": 4, "enable_dhcp": False,
        "dns_nameservers": ["9.9.9.9"], "allocation_pools": [{"start": "10.20.0.10", "end": "10.20.0.20"}],
        "host_routes": [{"destination": "192.168.0.0/16", "nexthop": "10.20.0.253"}],
    })
    assert cli.json(f"network show {network}")["subnets"] == [made["id"]]
    assert [row["ID"] for row in cli.json(f"subnet list --network {network}")] == [made["id"]]
    cli.do(f"subnet set --description second --dns-nameserver 8.8.8.8 --dhcp {name}-subnet")
    changed = cli.json(f"subnet show {name}-subnet")
    assert sorted(changed["dns_nameservers"]) == ["8.8.8.8", "9.9.9.9"]
    assert (changed["description"], changed["enable_dhcp"]) == ("second", True)
    cli.do(f"subnet delete {name}-subnet")


def test_a_subnet_without_options_gets_the_first_address_as_gateway_and_the_rest_as_pool(cli, subnet):
    shown = cli.json(f"subnet show {subnet}")
    assert shown["gateway_ip"] == "10.20.0.1"
    assert shown["allocation_pools"] == [{"start": "10.20.0.2", "end": "10.20.0.254"}]


def test_an_ipv6_subnet_is_created_and_serves_addresses(cli, network, name):
    made = cli.json(
        f"subnet create --network {network} --ip-version 6 --subnet-range 2001:db8:1::/64 --gateway 2001:db8:1::1"
        f" --ipv6-ra-mode dhcpv6-stateful --ipv6-address-mode dhcpv6-stateful {name}-six")
    expect(made, {
        "cidr": "2001:db8:1::/64", "gateway_ip": "2001:db8:1::1", "ip_version": 6,
        "ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful"})
    port = cli.json(f"port create --network {network} --fixed-ip subnet={name}-six,ip-address=2001:db8:1::77 {name}")
    assert port["fixed_ips"] == [{"subnet_id": made["id"], "ip_address": "2001:db8:1::77"}]
    cli.do(f"port delete {name}")
    cli.do(f"subnet delete {name}-six")


def test_a_port_is_created_with_a_fixed_address_shown_listed_changed_and_deleted(cli, subnet, name):
    made = cli.json(f"port create --network {subnet} --fixed-ip subnet={subnet},ip-address=10.20.0.77 {name}")
    assert [ip["ip_address"] for ip in made["fixed_ips"]] == ["10.20.0.77"]
    assert made["mac_address"].count(":") == 5
    assert made["id"] in {row["ID"] for row in cli.json(f"port list --network {subnet}")}
    assert [row["ID"] for row in cli.json("port list --fixed-ip ip-address=10.20.0.77")] == [made["id"]]
    assert [row["ID"] for row in cli.json(f"port list --mac-address {made['mac_address']}")] == [made["id"]]
    assert "409" in cli.refusal(f"port create --network {subnet} --fixed-ip ip-address=10.20.0.77 {name}-2")
    cli.do(f"port set --name {name}-new --description second --disable {name}")
    expect(cli.json(f"port show {name}-new"), {
        "id": made["id"], "description": "second", "admin_state_up": False})
    assert "409" in cli.refusal(f"subnet delete {subnet}")
    assert "409" in cli.refusal(f"network delete {subnet}")
    cli.do(f"port delete {name}-new")


def test_a_router_gains_and_loses_subnets_and_ports(cli, router, subnet, name):
    cli.do(f"router add subnet {router} {subnet}")
    [interface] = cli.json(f"port list --router {router} --long")
    assert [ip["ip_address"] for ip in interface["Fixed IP Addresses"]] == ["10.20.0.1"]
    assert interface["Device Owner"] == "network:router_interface"
    [shown] = cli.json(f"router show {router}")["interfaces_info"]
    assert (shown["port_id"], shown["ip_address"]) == (interface["ID"], "10.20.0.1")
    assert "409" in cli.refusal(f"router delete {router}")
    assert "409" in cli.refusal(f"port delete {interface['ID']}")
    cli.do(f"router remove subnet {router} {subnet}")
    assert cli.json(f"port list --router {router}") == []

    cli.do(f"port create --network {subnet} --fixed-ip ip-address=10.20.0.200 {name}-port")
    cli.do(f"router add port {router} {name}-port")
    assert [row["Name"] for row in cli.json(f"port list --router {router}")] == [f"{name}-port"]
    cli.do(f"router remove port {router} {name}-port")
    assert cli.json(f"port list --router {router}") == []


def test_a_member_sets_and_clears_the_gateway_and_an_administrator_chooses_its_address(
        cli, admin_cli, router, external):
    cli.do(f"router set --external-gateway {external.name} {router}")
    gateway = cli.json(f"router show {router}")["external_gateway_info"]
    assert gateway["network_id"] == external.id
    assert gateway["enable_snat"] is True
    [address] = gateway["external_fixed_ips"]
    assert address["subnet_id"] == external.subnet_id and address["ip_address"].startswith("200.200.128.")
    assert "403" in cli.refusal(
        f"router set --external-gateway {external.name} --fixed-ip ip-address=200.200.128.99 {router}")
    admin_cli.do(f"router set --external-gateway {external.name} --fixed-ip ip-address=200.200.128.99 {router}")
    [address] = cli.json(f"router show {router}")["external_gateway_info"]["external_fixed_ips"]
    assert address["ip_address"] == "200.200.128.99"
    cli.do(f"router unset --external-gateway {router}")
    assert cli.json(f"router show {router}")["external_gateway_info"] is None


def test_extra_routes_are_set_added_removed_and_unset(cli, router, subnet):
    def routes():
        return {(route["destination"], route["nexthop"]) for route in cli.json(f"router show {router}")["routes"]}

    first, second = ("192.168.1.0/24", "10.20.0.50"), ("192.168.2.0/24", "10.20.0.51")

    def words(route):
        return f"--route destination={route[0]},gateway={route[1]}"

    cli.do(f"router add subnet {router} {subnet}")
    cli.do(f"router set {words(first)} {router}")
    assert routes() == {first}
    cli.do(f"router add route {words(second)} {router}")
    assert routes() == {first, second}
    cli.do(f"router remove route {words(first)} {router}")
    assert routes() == {second}
    assert "400" in cli.refusal(f"router set --route destination=192.168.3.0/24,gateway=172.31.0.1 {router}")
    cli.do(f"router unset {words(second)} {router}")
    assert routes() == set()
    cli.do(f"router remove subnet {router} {subnet}")


def test_a_router_is_listed_renamed_and_switched_off(cli, router):
    assert router in {row["Name"] for row in cli.json("router list --long")}
    cli.do(f"router set --disable --description second {router}")
    expect(cli.json(f"router show {router}"), {"admin_state_up": False, "description": "second"})


def test_a_floating_address_is_given_to_a_port_and_taken_back(cli, site, external, name):
    port = cli.json(f"port create --network {site.network.name} {name}")
    made = cli.json(f"floating ip create --description first {external.name}")
    address = made["floating_ip_address"]
    expect(made, {"floating_network_id": external.id, "port_id": None, "status": "DOWN"})
    cli.do(f"floating ip set --port {name} {address}")
    shown = cli.json(f"floating ip show {address}")
    expect(shown, {
        "port_id": port["id"], "router_id": site.router.id,
        "fixed_ip_address": port["fixed_ips"][0]["ip_address"]})
    assert [row["Floating IP Address"] for row in cli.json(f"floating ip list --port {name}")] == [address]
    assert "409" in cli.refusal(f"router unset --external-gateway {site.router.name}")
    cli.do(f"floating ip unset --port {address}")
    assert cli.json(f"floating ip show {made['id']}")["port_id"] is None
    cli.do(f"floating ip delete {address}")
    cli.refusal(f"floating ip show {address}")
    cli.do(f"port delete {name}")


def test_a_security_group_and_its_rules_are_created_shown_changed_and_deleted(cli, name):
    assert "default" in {row["Name"] for row in cli.json("security group list")}
    made = cli.json(f"security group create --description first {name}")
    rule = cli.json(f"security group rule create --protocol tcp --dst-port 22 --remote-ip 192.0.2.0/24 {name}")
    expect(rule, {
        "direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22,
        "remote_ip_prefix": "192.0.2.0/24", "ether_type": "IPv4", "security_group_id": made["id"]})
    assert rule["id"] in {row["ID"] for row in cli.json(f"security group rule list {name}")}
    assert cli.json(f"security group rule show {rule['id']}")["port_range_min"] == 22
    assert "409" in cli.refusal(
        f"security group rule create --protocol tcp --dst-port 22 --remote-ip 192.0.2.0/24 {name}")
    cli.do(f"security group rule delete {rule['id']}")
    cli.do(f"security group set --name {name}-new --description second {name}")
    assert cli.json(f"security group show {name}-new")["description"] == "second"
    cli.do(f"security group delete {name}-new")
    cli.refusal(f"security group show {made['id']}")


@pytest.mark.parametrize("noun", ["network", "subnet", "router", "port", "floating ip", "security group"])
def test_tags_are_put_on_found_and_taken_off(cli, subnet, external, name, noun):
    create = {
        "network": f"network create {name}-tagged",
        "subnet": f"subnet create --network {subnet} --subnet-range 10.21.0.0/24 {name}-tagged",
        "router": f"router create {name}-tagged",
        "port": f"port create --network {subnet} {name}-tagged",
        "floating ip": f"floating ip create {external.name}",
        "security group": f"security group create {name}-tagged",
    }
    made = cli.id(create[noun])
    cli.do(f"{noun} set --tag {name}-red --tag blue {made}")
    assert sorted(cli.json(f"{noun} show {made}")["tags"]) == ["blue", f"{name}-red"]
    assert [row["ID"] for row in cli.json(f"{noun} list --tags {name}-red,blue")] == [made]
    assert made not in {row["ID"] for row in cli.json(f"{noun} list --not-tags blue")}
    cli.do(f"{noun} unset --tag {name}-red {made}")
    assert cli.json(f"{noun} show {made}")["tags"] == ["blue"]
    cli.do(f"{noun} unset --all-tag {made}")
    assert cli.json(f"{noun} show {made}")["tags"] == []
    cli.do(f"{noun} delete {made}")


def test_quotas_are_shown_to_a_member_and_set_by_an_administrator(cli, admin_cli, tenant):
    def limits(shown):
        return {row["Resource"]: row["Limit"] for row in shown}

    defaults = limits(cli.json("quota show --network --default"))
    expect(defaults, {"networks": 100, "routers": 10, "ports": 500, "floating_ips": 50})
    expect(defaults, dict.fromkeys(VPN_QUOTAS, -1))
    admin_cli.do(f"quota set --networks 7 --floating-ips 3 {tenant.project_name}")
    shown = limits(cli.json("quota show --network"))
    expect(shown, {"networks": 7, "floating_ips": 3, "ports": 500})
    used = {row["Resource"]: row for row in admin_cli.json(f"quota show --network --usage {tenant.project_name}")}
    assert used["networks"]["Limit"] == 7 and used["networks"]["In Use"] >= 0
    listed = {row["Project ID"]: row for row in admin_cli.json("quota list --network")}
    assert listed[tenant.project_id]["Networks"] == 7
    assert "403" in cli.refusal(f"quota set --networks 70 {tenant.project_id}")
    admin_cli.do(f"quota delete --network {tenant.project_name}")
    assert limits(cli.json("quota show --network"))["networks"] == 100


def test_a_quota_of_one_more_is_enough_for_one_more(cli, admin_cli, tenant, name):
    used = {row["Resource"]: row["In Use"] for row in cli.json("quota show --network --usage")}
    admin_cli.do(f"quota set --networks {used['networks'] + 1} {tenant.project_name}")
    cli.do(f"network create {name}")
    assert "409" in cli.refusal(f"network create {name}-2")
    cli.do(f"network delete {name}")
    admin_cli.do(f"quota delete --network {tenant.project_name}")


def test_zones_extensions_and_agents_are_listed(cli, admin_cli):
    for row in cli.json("availability zone list --network"):
        assert row["Zone Status"] == "available"
    aliases = {row["Alias"] for row in cli.json("extension list --network")}
    assert aliases >= {"vpnaas", "vpn-endpoint-groups", "router", "external-net", "quotas", "security-group"}
    shown = cli.json("extension show vpnaas")
    expect(shown, {"alias": "vpnaas", "name": "VPN service"})
    assert isinstance(admin_cli.json("network agent list"), list)


@pytest.mark.parametrize("line", [
    "subnet pool list", "address scope list", "network rbac list"])
def test_collections_that_a_client_asks_for_answer_even_when_empty(cli, line):
    assert cli.json(line) == []


def test_a_flavor_and_its_profile_are_made_by_an_administrator_and_used_by_a_member(admin_cli, cli, site, name):
    [provider] = [row for row in cli.json("network service provider list") if row["Service Type"] == "VPN"]
    assert provider["Default"] is True
    flavor = admin_cli.id(f"network flavor create --service-type VPN --description first {name}")
    profile = admin_cli.json("network flavor profile create --description first --metainfo {}")
    admin_cli.do(f"network flavor profile set --description second {profile['id']}")
    assert admin_cli.json(f"network flavor profile show {profile['id']}")["description"] == "second"
    admin_cli.do(f"network flavor add profile {name} {profile['id']}")
    expect(cli.json(f"network flavor show {name}"), {
        "id": flavor, "service_type": "VPN", "enabled": True, "service_profile_ids": [profile["id"]]})
    assert name in {row["Name"] for row in cli.json("network flavor list")}
    assert profile["id"] in {row["ID"] for row in admin_cli.json("network flavor profile list")}

    admin_cli.do(f"network flavor set --description second --disable {name}")
    expect(admin_cli.json(f"network flavor show {name}"), {"description": "second", "enabled": False})
    told = cli.refusal(f"vpn service create --flavor {name} --router {site.router.name} {name}")
    assert "503" in told
    assert "403" in cli.refusal(f"network flavor create --service-type VPN {name}-2")

    admin_cli.do(f"network flavor remove profile {name} {profile['id']}")
    admin_cli.do(f"network flavor profile delete {profile['id']}")
    admin_cli.do(f"network flavor delete {name}")


def test_a_neighbour_sees_none_of_it(cli, neighbour, site):
    with CommandLine(neighbour.login) as stranger:
        for noun, mine in (("network", site.network), ("subnet", site.subnet), ("router", site.router)):
            assert mine.id not in {row["ID"] for row in stranger.json(f"{noun} list")}
        assert stranger.json("port list") == []
        for called in (site.network.name, site.network.id):
            stranger.refusal(f"network show {called}")
        stranger.refusal(f"router delete {site.router.id}")
    assert cli.json(f"router show {site.router.name}")["id"] == site.router.id
