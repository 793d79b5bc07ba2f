"""`openstack vpn …`: every command of the five kinds, as a member of a project."""

import dataclasses
import importlib.util
import re

import pytest

from command_line import CommandLine
from shown import expect

# The client of 10.4 and 10.5, which has the VPN commands built in, turns both options into a list, fails on that and
# sends nothing. The plugin of python-neutronclient before 14 is right; scripts/test runs this file with both.
takes_pairs = pytest.mark.skipif(
    importlib.util.find_spec("openstackclient.network.v2.vpnaas") is not None,
    reason="this openstack client cannot send --lifetime and --dpd")

REFERENCES = "--vpnservice chain --ikepolicy chain --ipsecpolicy chain"
PEER = "--peer-address 200.200.128.151 --peer-id 200.200.128.151 --psk s3cret"
CREATE = f"vpn ipsec site connection create {REFERENCES} {PEER}"
CONNECTION = f"{REFERENCES} {PEER} --peer-cidr 20.20.20.0/24"
NOUNS = ("vpn ike policy", "vpn ipsec policy", "vpn service", "vpn endpoint group", "vpn ipsec site connection")


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of VPN object: the words that make and change it, and what the client then shows."""

    noun: str
    create: str
    shown: dict
    change: str
    changed: dict
    listed: tuple
    listed_long: tuple


@pytest.fixture(scope="module")
def kinds(chain, site):
    ike = Kind(
        noun="vpn ike policy",
        create="--auth-algorithm sha512 --encryption-algorithm aes-256-gcm-16 --ike-version v2 --pfs group21"
        " --description first",
        shown={
            "Authentication Algorithm": "sha512", "Encryption Algorithm": "aes-256-gcm-16", "IKE Version": "v2",
            "Perfect Forward Secrecy (PFS)": "group21", "Lifetime": {"units": "seconds", "value": 3600},
            "Phase1 Negotiation Mode": "main", "Description": "first",
        },
        change="--auth-algorithm sha256 --pfs group14 --description second",
        changed={
            "Authentication Algorithm": "sha256", "Perfect Forward Secrecy (PFS)": "group14", "IKE Version": "v2",
            "Description": "second",
        },
        listed=("Authentication Algorithm", "Encryption Algorithm", "IKE Version", "Perfect Forward Secrecy (PFS)"),
        listed_long=("Description", "Lifetime", "Phase1 Negotiation Mode", "Project"),
    )
    ipsec = Kind(
        noun="vpn ipsec policy",
        create="--auth-algorithm sha384 --encryption-algorithm aes-192 --encapsulation-mode transport"
        " --transform-protocol ah --pfs group2",
        shown={
            "Authentication Algorithm": "sha384", "Encryption Algorithm": "aes-192",
            "Encapsulation Mode": "transport", "Transform Protocol": "ah", "Perfect Forward Secrecy (PFS)": "group2",
            "Lifetime": {"units": "seconds", "value": 3600}, "Description": "",
        },
        change="--encapsulation-mode tunnel --transform-protocol esp --description second",
        changed={
            "Encapsulation Mode": "tunnel", "Transform Protocol": "esp", "Encryption Algorithm": "aes-192",
            "Description": "second",
        },
        listed=("Authentication Algorithm", "Encapsulation Mode", "Transform Protocol", "Encryption Algorithm"),
        listed_long=("Perfect Forward Secrecy (PFS)", "Lifetime", "Description", "Project"),
    )
    service = Kind(
        noun="vpn service",
        create=f"--router {site.router.name} --subnet {site.subnet.name} --description first",
        shown={
            "Router": site.router.id, "Subnet": site.subnet.id, "Flavor": None, "State": True,
            "Status": "PENDING_CREATE", "Ext v4 IP": site.outer_address, "Ext v6 IP": None, "Description": "first",
        },
        change="--disable --description second",
        changed={"State": False, "Description": "second", "Router": site.router.id},
        listed=("Router", "Subnet", "Flavor", "State", "Status"),
        listed_long=("Description", "Project", "Ext v4 IP", "Ext v6 IP"),
    )
    group = Kind(
        noun="vpn endpoint group",
        create="--type cidr --value 20.20.30.0/24 --value 20.20.20.0/24 --description first",
        shown={"Type": "cidr", "Endpoints": ["20.20.30.0/24", "20.20.20.0/24"], "Description": "first"},
        change="--description second",
        changed={"Type": "cidr", "Endpoints": ["20.20.30.0/24", "20.20.20.0/24"], "Description": "second"},
        listed=("Type", "Endpoints"),
        listed_long=("Description", "Project"),
    )
    connection = Kind(
        noun="vpn ipsec site connection",
        create=f"{CONNECTION} --mtu 1400 --initiator response-only --local-id left.example.org",
        shown={
            "Peer Address": "200.200.128.151", "Peer ID": "200.200.128.151", "Peer CIDRs": ["20.20.20.0/24"],
            "Pre-shared Key": "s3cret", "DPD": {"action": "hold", "interval": 30, "timeout": 120}, "MTU": 1400,
            "Initiator": "response-only", "Local ID": "left.example.org", "Authentication Algorithm": "psk",
            "Route Mode": "static", "State": True, "Status": "PENDING_CREATE", "Local Endpoint Group ID": None,
            "Peer Endpoint Group ID": None, "Description": "",
        },
        change="--peer-cidr 20.20.40.0/24 --mtu 1300 --disable --peer-address 200.200.128.152"
        " --description second",
        changed={
            "Peer CIDRs": ["20.20.40.0/24"], "MTU": 1300, "State": False, "Peer Address": "200.200.128.152",
            "Pre-shared Key": "s3cret", "Description": "second",
        },
        listed=("Peer Address", "Authentication Algorithm", "Status"),
        listed_long=("Peer CIDRs", "VPN Service", "IKE Policy", "IPSec Policy", "MTU", "Initiator", "State", "DPD"),
    )
    return {kind.noun: kind for kind in (ike, ipsec, service, group, connection)}


@pytest.mark.parametrize("called_by", ["name", "id"])
@pytest.mark.parametrize("noun", NOUNS)
def test_every_kind_lives_its_life_from_create_to_delete(cli, tenant, kinds, name, noun, called_by):
    kind = kinds[noun]

    created = cli.json(f"{noun} create {kind.create} {name}")
    called = name if called_by == "name" else created["ID"]
    expect(created, {"Name": name, "Project": tenant.project_id, **kind.shown})
    assert cli.json(f"{noun} show {called}") == created

    [row] = [row for row in cli.json(f"{noun} list") if row["ID"] == created["ID"]]
    assert set(row) == {"ID", "Name", *kind.listed}
    [row] = [row for row in cli.json(f"{noun} list --long") if row["ID"] == created["ID"]]
    assert {column: row[column] for column in kind.listed_long} == {
        column: created[column] for column in kind.listed_long}

    assert cli.do(f"{noun} set {kind.change} {called}") == ""
    expect(cli.json(f"{noun} show {called}"), {"Name": name, **kind.changed})

    assert cli.do(f"{noun} delete {called}") == ""
    assert created["ID"] not in {row["ID"] for row in cli.json(f"{noun} list")}
    assert called in cli.refusal(f"{noun} show {called}")


@pytest.mark.parametrize("noun", NOUNS)
def test_a_new_name_is_the_name_from_then_on(cli, kinds, name, noun):
    made = cli.id(f"{noun} create {kinds[noun].create} {name}")
    cli.do(f"{noun} set --name {name}-new {name}")
    assert cli.json(f"{noun} show {name}-new")["ID"] == made
    cli.refusal(f"{noun} show {name}")
    cli.do(f"{noun} delete {name}-new")


@pytest.mark.parametrize("noun", NOUNS)
def test_several_are_deleted_with_one_command_and_a_missing_one_is_named(cli, kinds, name, noun):
    for number in (1, 2):
        cli.do(f"{noun} create {kinds[noun].create} {name}-{number}")
    told = cli.refusal(f"{noun} delete {name}-1 no-such-thing {name}-2")
    assert "no-such-thing" in told and "1 of 3" in told
    assert not [row for row in cli.json(f"{noun} list") if row["Name"].startswith(name)]


@pytest.mark.parametrize("noun", NOUNS)
def test_a_name_that_two_objects_have_is_refused_until_the_id_is_given(cli, kinds, name, noun):
    ids = [cli.id(f"{noun} create {kinds[noun].create} {name}") for _ in range(2)]
    assert "More than one" in cli.refusal(f"{noun} show {name}")
    cli.do(f"{noun} delete {' '.join(ids)}")


def test_a_policy_without_options_has_the_defaults_every_client_knows(cli, name):
    ike = cli.json(f"vpn ike policy create {name}")
    ipsec = cli.json(f"vpn ipsec policy create {name}")
    common = {
        "Authentication Algorithm": "sha1", "Encryption Algorithm": "aes-128",
        "Perfect Forward Secrecy (PFS)": "group5", "Lifetime": {"units": "seconds", "value": 3600},
    }
    expect(ike, {**common, "IKE Version": "v1", "Phase1 Negotiation Mode": "main"})
    expect(ipsec, {**common, "Encapsulation Mode": "tunnel", "Transform Protocol": "esp"})
    cli.do(f"vpn ike policy delete {name}")
    cli.do(f"vpn ipsec policy delete {name}")


@takes_pairs
@pytest.mark.parametrize("noun", ["vpn ike policy", "vpn ipsec policy"])
def test_a_lifetime_is_given_whole_or_in_part(cli, name, noun):
    made = cli.json(f"{noun} create --lifetime units=seconds,value=7200 {name}")
    assert made["Lifetime"] == {"units": "seconds", "value": 7200}
    cli.do(f"{noun} set --lifetime value=600 {name}")
    assert cli.json(f"{noun} show {name}")["Lifetime"] == {"units": "seconds", "value": 600}
    cli.do(f"{noun} delete {name}")


@takes_pairs
def test_dead_peer_detection_is_given_whole_or_in_part(cli, chain, name):
    made = cli.json(f"vpn ipsec site connection create {name} {CONNECTION} --dpd action=restart,interval=15")
    assert made["DPD"] == {"action": "restart", "interval": 15, "timeout": 120}
    cli.do(f"vpn ipsec site connection set {name} --dpd timeout=300")
    assert cli.json(f"vpn ipsec site connection show {name}")["DPD"] == {
        "action": "restart", "interval": 15, "timeout": 300}
    cli.do(f"vpn ipsec site connection delete {name}")


def test_a_connection_between_endpoint_groups_is_made_changed_and_deleted(cli, site, chain, name):
    cli.do(f"vpn service create {name} --router {site.router.name}")
    local = cli.json(f"vpn endpoint group create {name}-local --type subnet --value {site.subnet.name}")
    assert local["Endpoints"] == [site.subnet.id]
    peer = cli.id(f"vpn endpoint group create {name}-peer --type cidr --value 20.20.20.0/24")
    other = cli.id(f"vpn endpoint group create {name}-other --type cidr --value 20.20.50.0/24")

    made = cli.json(
        f"vpn ipsec site connection create {name} --vpnservice {name} --ikepolicy chain"
        f" --ipsecpolicy chain {PEER} --local-endpoint-group {name}-local --peer-endpoint-group {name}-peer")
    assert (made["Local Endpoint Group ID"], made["Peer Endpoint Group ID"]) == (local["ID"], peer)
    assert made["Peer CIDRs"] == []

    told = cli.refusal(f"vpn endpoint group delete {name}-peer")
    assert peer in told
    cli.do(f"vpn ipsec site connection set {name} --peer-endpoint-group {name}-other")
    assert cli.json(f"vpn ipsec site connection show {name}")["Peer Endpoint Group ID"] == other

    cli.do(f"vpn ipsec site connection delete {name}")
    cli.do(f"vpn endpoint group delete {name}-local {name}-peer {name}-other")
    cli.do(f"vpn service delete {name}")


def test_what_a_connection_uses_is_not_deleted_under_it(cli, chain, name):
    cli.do(f"vpn ipsec site connection create {name} {CONNECTION}")
    for noun in ("vpn service", "vpn ike policy", "vpn ipsec policy"):
        assert "409" in cli.refusal(f"{noun} delete chain")
    cli.do(f"vpn ipsec site connection delete {name}")


def test_what_a_service_uses_is_not_taken_away_under_it(cli, chain, site):
    assert "409" in cli.refusal(f"router remove subnet {site.router.name} {site.subnet.name}")
    assert "409" in cli.refusal(f"router unset --external-gateway {site.router.name}")
    assert "409" in cli.refusal(f"router delete {site.router.name}")


@pytest.mark.parametrize("line, field", [
    ("vpn endpoint group create --type cidr --value 10.0.0.0/33 {name}", "10.0.0.0/33"),
    ("vpn endpoint group create --type cidr --value 10.0.0.0/8 --value 10.0.0.0/8 {name}", "10.0.0.0/8"),
    (CREATE + " --peer-cidr 20.20.20.0/24 --mtu 67 {name}", "67"),
    pytest.param(CREATE + " --peer-cidr 20.20.20.0/24 --dpd interval=121 {name}", "121", marks=takes_pairs),
    (CREATE + " --peer-cidr 20.20.20.0 {name}", "20.20.20.0"),
])
def test_a_refusal_names_the_value_that_is_wrong(cli, chain, name, line, field):
    told = cli.refusal(line.format(name=name))
    assert re.search(rf"(?<![\w-]){re.escape(field)}(?![\w-])", told), told


def test_the_administrator_makes_objects_for_another_project(admin_cli, cli, tenant, name):
    made = admin_cli.json(f"vpn ike policy create --project {tenant.project_name} {name}")
    assert made["Project"] == tenant.project_id
    assert cli.json(f"vpn ike policy show {name}")["ID"] == made["ID"]
    cli.do(f"vpn ike policy delete {name}")


def test_a_neighbour_sees_nothing(cli, neighbour, kinds, name):
    made = cli.id(f"vpn ike policy create {name}")
    with CommandLine(neighbour.login) as stranger:
        assert stranger.json("vpn ike policy list") == []
        for called in (name, made):
            stranger.refusal(f"vpn ike policy show {called}")
            stranger.refusal(f"vpn ike policy delete {called}")
    assert cli.json(f"vpn ike policy show {made}")["Name"] == name
    cli.do(f"vpn ike policy delete {made}")
