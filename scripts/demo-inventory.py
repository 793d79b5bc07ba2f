"""Prints what of the demo's scene exists, one "kind name" a line: one start of Python instead of one per object."""

import openstack

cloud = openstack.connect()
network = cloud.network
kinds = {
    "network": network.networks,
    "subnet": network.subnets,
    "router": network.routers,
    "vpn ike policy": network.vpn_ike_policies,
    "vpn ipsec policy": network.vpn_ipsec_policies,
    "vpn service": network.vpn_services,
    "vpn ipsec site connection": network.vpn_ipsec_site_connections,
    "project": cloud.identity.projects,
}
for kind, listed in kinds.items():
    for each in listed():
        print(kind, each.name)
routers = {router.id: router for router in network.routers()}
for router in routers.values():
    if router.external_gateway_info:
        print("gateway", router.name)
for port in network.ports(device_owner="network:router_interface"):
    if port.device_id in routers:
        print("interface", routers[port.device_id].name)
