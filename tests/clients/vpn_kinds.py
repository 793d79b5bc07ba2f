"""The five VPN kinds as the Python clients name them: how to make one, and what changes it."""

import dataclasses

import pytest


@dataclasses.dataclass(frozen=True)
class Kind:
    """Names of one kind, and bodies in the API's own attribute names."""

    singular: str
    plural: str
    sdk: str
    sdk_plural: str
    neutron: str
    neutron_plural: str
    filtered_by: str


KINDS = {
    kind.singular: kind
    for kind in (
        Kind("ikepolicy", "ikepolicies", "vpn_ike_policy", "vpn_ike_policies", "ikepolicy", "ikepolicies",
             "encryption_algorithm"),
        Kind("ipsecpolicy", "ipsecpolicies", "vpn_ipsec_policy", "vpn_ipsec_policies", "ipsecpolicy", "ipsecpolicies",
             "transform_protocol"),
        Kind("vpnservice", "vpnservices", "vpn_service", "vpn_services", "vpnservice", "vpnservices", "description"),
        Kind("endpoint_group", "endpoint_groups", "vpn_endpoint_group", "vpn_endpoint_groups", "endpoint_group",
             "endpoint_groups", "description"),
        Kind("ipsec_site_connection", "ipsec_site_connections", "vpn_ipsec_site_connection",
             "vpn_ipsec_site_connections", "ipsec_site_connection", "ipsec_site_connections", "peer_address"),
    )
}

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


class Chain:
    """What a connection refers to, and the bodies of all five kinds on top of it."""

    def __init__(self, owner, site):
        self._network = owner.network
        self._site = site
        self.ike = self._network.create_vpn_ike_policy(name="chain").id
        self.ipsec = self._network.create_vpn_ipsec_policy(name="chain").id
        self.service = self._network.create_vpn_service(
            name="chain", router_id=site.router.id, subnet_id=site.subnet.id).id

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self._network.vpn_ipsec_site_connections(vpnservice_id=self.service):
            self._network.delete_vpn_ipsec_site_connection(connection)
        self._network.delete_vpn_service(self.service)
        self._network.delete_vpn_ipsec_policy(self.ipsec)
        self._network.delete_vpn_ike_policy(self.ike)

    def body(self, kind: Kind, name: str) -> dict:
        """A whole body for POST; the attribute that lists are filtered by has a value that no default has."""
        return {"name": name} | {
            "ikepolicy": {"encryption_algorithm": "aes-256", "ike_version": "v2", "lifetime": {"value": 7200}},
            "ipsecpolicy": {"transform_protocol": "ah", "lifetime": {"units": "seconds", "value": 90}},
            "vpnservice": {
                "router_id": self._site.router.id, "subnet_id": self._site.subnet.id, "description": "ours"},
            "endpoint_group": {
                "type": "cidr", "endpoints": ["20.20.30.0/24", "20.20.20.0/24"], "description": "ours"},
            "ipsec_site_connection": {
                "vpnservice_id": self.service, "ikepolicy_id": self.ike, "ipsecpolicy_id": self.ipsec,
                "peer_address": "200.200.128.151", "peer_id": "200.200.128.151", "psk": "s3cret",
                "peer_cidrs": ["20.20.30.0/24", "20.20.20.0/24"], "dpd": {"action": "restart"}},
        }[kind.singular]

    def change(self, kind: Kind) -> dict:
        """A body for PUT that a new object accepts."""
        return {"description": "second"} | {
            "ikepolicy": {"ike_version": "v1"},
            "ipsecpolicy": {"encapsulation_mode": "transport"},
            "vpnservice": {"admin_state_up": False},
            "endpoint_group": {},
            "ipsec_site_connection": {"mtu": 1300, "peer_cidrs": ["20.20.40.0/24", "20.20.10.0/24"]},
        }[kind.singular]
