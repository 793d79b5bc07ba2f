"""What a VPN stands on: an external network, and a site behind a router."""

import secrets


class ExternalNetwork:
    """An external network with one subnet; a context manager that takes it away again."""

    def __init__(self, admin, cidr):
        self._network = admin.network
        mark = secrets.token_hex(4)
        made = self._network.create_network(name=f"external-{mark}", is_router_external=True)
        self.id, self.name = made.id, made.name
        self.subnet_id = self._network.create_subnet(
            name=f"external-{mark}", network_id=self.id, ip_version=4, cidr=cidr, is_dhcp_enabled=False).id

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._network.delete_subnet(self.subnet_id)
        self._network.delete_network(self.id)


class Site:
    """Network, subnet, and a router with a gateway and an interface; a context manager that takes them away again."""

    def __init__(self, owner, external, cidr):
        self._network = owner.network
        mark = secrets.token_hex(4)
        self.network = self._network.create_network(name=f"net-{mark}")
        self.subnet = self._network.create_subnet(
            name=f"subnet-{mark}", network_id=self.network.id, ip_version=4, cidr=cidr)
        self.router = self._network.create_router(
            name=f"router-{mark}", external_gateway_info={"network_id": external.id})
        self._network.add_interface_to_router(self.router, subnet=self.subnet.id)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # What a failed test left standing would keep the router, and hide the failure behind a second one.
        for connection in self._network.vpn_ipsec_site_connections():
            self._network.delete_vpn_ipsec_site_connection(connection)
        for service in self._network.vpn_services():
            self._network.delete_vpn_service(service)
        self._network.remove_interface_from_router(self.router, subnet=self.subnet.id)
        self._network.delete_router(self.router.id)
        self._network.delete_subnet(self.subnet.id)
        self._network.delete_network(self.network.id)

    @property
    def outer_address(self) -> str:
        """The router's address on the external network."""
        return self.router.external_gateway_info["external_fixed_ips"][0]["ip_address"]
