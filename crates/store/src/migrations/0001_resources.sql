-- The resources: one table a kind, one column an attribute. Truths are 0 and 1, lists and nested
-- objects are JSON texts, times are microseconds since 1970 UTC. `rev` goes up by one at each change.

CREATE TABLE networks (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    project_id TEXT NOT NULL,
    admin_state_up BIGINT NOT NULL,
    mtu BIGINT NOT NULL,
    status TEXT NOT NULL,
    subnets TEXT NOT NULL,
    shared BIGINT NOT NULL,
    router_external BIGINT NOT NULL,
    is_default BIGINT NOT NULL,
    availability_zone_hints TEXT NOT NULL,
    availability_zones TEXT NOT NULL,
    port_security_enabled BIGINT NOT NULL,
    description TEXT NOT NULL,
    provider_network_type TEXT,
    provider_physical_network TEXT,
    provider_segmentation_id BIGINT,
    tags TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE TABLE subnets (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    project_id TEXT NOT NULL,
    network_id TEXT NOT NULL REFERENCES networks (id),
    ip_version BIGINT NOT NULL,
    cidr TEXT NOT NULL,
    gateway_ip TEXT,
    allocation_pools TEXT NOT NULL,
    enable_dhcp BIGINT NOT NULL,
    dns_nameservers TEXT NOT NULL,
    host_routes TEXT NOT NULL,
    ipv6_address_mode TEXT,
    ipv6_ra_mode TEXT,
    subnetpool_id TEXT,
    service_types TEXT NOT NULL,
    description TEXT NOT NULL,
    tags TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE TABLE ports (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    project_id TEXT NOT NULL,
    network_id TEXT NOT NULL REFERENCES networks (id),
    mac_address TEXT NOT NULL,
    admin_state_up BIGINT NOT NULL,
    status TEXT NOT NULL,
    device_id TEXT NOT NULL,
    device_owner TEXT NOT NULL,
    fixed_ips TEXT NOT NULL,
    security_groups TEXT NOT NULL,
    allowed_address_pairs TEXT NOT NULL,
    port_security_enabled BIGINT NOT NULL,
    description TEXT NOT NULL,
    binding_vnic_type TEXT NOT NULL,
    binding_host_id TEXT NOT NULL,
    tags TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rev BIGINT NOT NULL,
    UNIQUE (network_id, mac_address)
);
-- Each address of a port, so that no two ports of a subnet can have the same one.
CREATE TABLE ip_allocations (
    subnet_id TEXT NOT NULL REFERENCES subnets (id),
    ip_address TEXT NOT NULL,
    network_id TEXT NOT NULL REFERENCES networks (id),
    port_id TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE,
    PRIMARY KEY (subnet_id, ip_address)
);
CREATE TABLE security_groups (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    project_id TEXT NOT NULL,
    description TEXT NOT NULL,
    stateful BIGINT NOT NULL,
    security_group_rules TEXT NOT NULL,
    tags TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE TABLE security_group_rules (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    security_group_id TEXT NOT NULL REFERENCES security_groups (id) ON DELETE CASCADE,
    direction TEXT NOT NULL,
    ethertype TEXT NOT NULL,
    protocol TEXT,
    port_range_min BIGINT,
    port_range_max BIGINT,
    remote_ip_prefix TEXT,
    remote_group_id TEXT REFERENCES security_groups (id),
    description TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE TABLE port_security_groups (
    port_id TEXT NOT NULL REFERENCES ports (id) ON DELETE CASCADE,
    security_group_id TEXT NOT NULL REFERENCES security_groups (id),
    PRIMARY KEY (port_id, security_group_id)
);
CREATE TABLE flavors (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    service_type TEXT NOT NULL,
    service_profiles TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE TABLE service_profiles (
    id TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    driver TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    metainfo TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE TABLE flavor_service_profiles (
    flavor_id TEXT NOT NULL REFERENCES flavors (id),
    service_profile_id TEXT NOT NULL REFERENCES service_profiles (id),
    PRIMARY KEY (flavor_id, service_profile_id)
);
CREATE TABLE routers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    project_id TEXT NOT NULL,
    description TEXT NOT NULL,
    admin_state_up BIGINT NOT NULL,
    status TEXT NOT NULL,
    external_gateway_info TEXT,
    routes TEXT NOT NULL,
    distributed BIGINT NOT NULL,
    ha BIGINT NOT NULL,
    availability_zone_hints TEXT NOT NULL,
    availability_zones TEXT NOT NULL,
    flavor_id TEXT,
    tags TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE TABLE floatingips (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    description TEXT NOT NULL,
    floating_network_id TEXT NOT NULL REFERENCES networks (id),
    subnet_id TEXT,
    floating_ip_address TEXT NOT NULL,
    port_id TEXT REFERENCES ports (id),
    fixed_ip_address TEXT,
    router_id TEXT REFERENCES routers (id),
    status TEXT NOT NULL,
    tags TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE TABLE ikepolicies (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    auth_algorithm TEXT NOT NULL,
    encryption_algorithm TEXT NOT NULL,
    phase1_negotiation_mode TEXT NOT NULL,
    lifetime TEXT NOT NULL,
    ike_version TEXT NOT NULL,
    pfs TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE TABLE ipsecpolicies (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    transform_protocol TEXT NOT NULL,
    auth_algorithm TEXT NOT NULL,
    encryption_algorithm TEXT NOT NULL,
    encapsulation_mode TEXT NOT NULL,
    lifetime TEXT NOT NULL,
    pfs TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE TABLE vpnservices (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    project_id TEXT NOT NULL,
    subnet_id TEXT REFERENCES subnets (id),
    router_id TEXT NOT NULL REFERENCES routers (id),
    flavor_id TEXT REFERENCES flavors (id),
    admin_state_up BIGINT NOT NULL,
    external_v4_ip TEXT,
    external_v6_ip TEXT,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE TABLE endpoint_groups (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    endpoint_type TEXT NOT NULL,
    endpoints TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE TABLE endpoint_group_subnets (
    endpoint_group_id TEXT NOT NULL REFERENCES endpoint_groups (id) ON DELETE CASCADE,
    subnet_id TEXT NOT NULL REFERENCES subnets (id),
    PRIMARY KEY (endpoint_group_id, subnet_id)
);
CREATE TABLE ipsec_site_connections (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    peer_address TEXT NOT NULL,
    peer_id TEXT NOT NULL,
    local_id TEXT NOT NULL,
    route_mode TEXT NOT NULL,
    mtu BIGINT NOT NULL,
    auth_mode TEXT NOT NULL,
    psk BLOB NOT NULL,
    initiator TEXT NOT NULL,
    dpd TEXT NOT NULL,
    admin_state_up BIGINT NOT NULL,
    status TEXT NOT NULL,
    vpnservice_id TEXT NOT NULL REFERENCES vpnservices (id),
    ikepolicy_id TEXT NOT NULL REFERENCES ikepolicies (id),
    ipsecpolicy_id TEXT NOT NULL REFERENCES ipsecpolicies (id),
    peer_cidrs TEXT NOT NULL,
    local_ep_group_id TEXT REFERENCES endpoint_groups (id),
    peer_ep_group_id TEXT REFERENCES endpoint_groups (id),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE INDEX networks_by_project ON networks (project_id, created_at, id, rev, updated_at);
CREATE INDEX subnets_by_project ON subnets (project_id, created_at, id, rev, updated_at);
CREATE INDEX ports_by_project ON ports (project_id, created_at, id, rev, updated_at);
CREATE INDEX security_groups_by_project ON security_groups (project_id, created_at, id, rev, updated_at);
CREATE INDEX security_group_rules_by_project ON security_group_rules (project_id, created_at, id, rev, updated_at);
CREATE INDEX routers_by_project ON routers (project_id, created_at, id, rev, updated_at);
CREATE INDEX floatingips_by_project ON floatingips (project_id, created_at, id, rev, updated_at);
CREATE INDEX ikepolicies_by_project ON ikepolicies (project_id, created_at, id, rev, updated_at);
CREATE INDEX ipsecpolicies_by_project ON ipsecpolicies (project_id, created_at, id, rev, updated_at);
CREATE INDEX vpnservices_by_project ON vpnservices (project_id, created_at, id, rev, updated_at);
CREATE INDEX endpoint_groups_by_project ON endpoint_groups (project_id, created_at, id, rev, updated_at);
CREATE INDEX ipsec_site_connections_by_project ON ipsec_site_connections (project_id, created_at, id, rev, updated_at);
CREATE INDEX subnets_by_network_id ON subnets (network_id);
CREATE INDEX ports_by_network_id ON ports (network_id);
CREATE INDEX ports_by_device_id ON ports (device_id);
CREATE INDEX ip_allocations_by_port_id ON ip_allocations (port_id);
CREATE INDEX ip_allocations_by_network_id ON ip_allocations (network_id);
CREATE INDEX security_group_rules_by_security_group_id ON security_group_rules (security_group_id);
CREATE INDEX security_group_rules_by_remote_group_id ON security_group_rules (remote_group_id);
CREATE INDEX port_security_groups_by_security_group_id ON port_security_groups (security_group_id);
CREATE INDEX floatingips_by_floating_network_id ON floatingips (floating_network_id);
CREATE INDEX floatingips_by_port_id ON floatingips (port_id);
CREATE INDEX floatingips_by_router_id ON floatingips (router_id);
CREATE INDEX vpnservices_by_router_id ON vpnservices (router_id);
CREATE INDEX vpnservices_by_subnet_id ON vpnservices (subnet_id);
CREATE INDEX endpoint_group_subnets_by_subnet_id ON endpoint_group_subnets (subnet_id);
CREATE INDEX ipsec_site_connections_by_vpnservice_id ON ipsec_site_connections (vpnservice_id);
CREATE INDEX ipsec_site_connections_by_ikepolicy_id ON ipsec_site_connections (ikepolicy_id);
CREATE INDEX ipsec_site_connections_by_ipsecpolicy_id ON ipsec_site_connections (ipsecpolicy_id);
CREATE INDEX ipsec_site_connections_by_local_ep_group_id ON ipsec_site_connections (local_ep_group_id);
CREATE INDEX ipsec_site_connections_by_peer_ep_group_id ON ipsec_site_connections (peer_ep_group_id);

CREATE TABLE quotas (
    project_id TEXT NOT NULL,
    resource TEXT NOT NULL,
    quota_limit BIGINT NOT NULL,
    PRIMARY KEY (project_id, resource)
);
-- One row a project, held while something with a limit is counted and created.
CREATE TABLE quota_locks (
    project_id TEXT PRIMARY KEY
);

-- A node runs routers. Its state should be what `desired_rev` says; `applied_rev` is what it has
-- reported. `epoch` goes up at each connect, and writes of an older one are refused.
CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL UNIQUE,
    agent_type TEXT NOT NULL,
    binary_name TEXT NOT NULL,
    topic TEXT NOT NULL,
    availability_zone TEXT,
    admin_state_up BIGINT NOT NULL,
    configurations TEXT NOT NULL,
    description TEXT,
    desired_rev BIGINT NOT NULL,
    applied_rev BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    heartbeat_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
-- Which node runs a router; none when it was taken away. `generation` goes up at each move.
CREATE TABLE placements (
    router_id TEXT PRIMARY KEY REFERENCES routers (id) ON DELETE CASCADE,
    node_id TEXT REFERENCES nodes (id),
    generation BIGINT NOT NULL
);
CREATE INDEX placements_by_node_id ON placements (node_id);

-- Nodes as Neutron shows them. Whether one is alive changes with time alone, so it is part of the
-- revision that caches go by; a heartbeat is part of the time of change, so that it needs no revision.
CREATE VIEW agents AS
SELECT id, host, agent_type, binary_name, topic, availability_zone, admin_state_up, configurations, description,
    created_at, started_at, heartbeat_at,
    CASE WHEN heartbeat_at > updated_at THEN heartbeat_at ELSE updated_at END AS updated_at,
    CASE WHEN lease_until > {now} THEN 1 ELSE 0 END AS alive,
    CASE WHEN applied_rev = desired_rev THEN 1 ELSE 0 END AS resources_synced,
    rev * 4 + CASE WHEN lease_until > {now} THEN 2 ELSE 0 END + CASE WHEN applied_rev = desired_rev THEN 1 ELSE 0 END
        AS rev
FROM nodes;
