-- What agents run and report.

-- Of the router's plan, as `nodes.desired_rev` is of all plans of a node.
ALTER TABLE placements ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
-- An operator has taken the router from its agent: the scheduler leaves it alone.
ALTER TABLE placements ADD COLUMN is_parked BIGINT NOT NULL DEFAULT 0;

-- `managed`, `attached` or `host`.
ALTER TABLE nodes ADD COLUMN shape TEXT NOT NULL DEFAULT 'managed';

-- Routers that are found on nodes which do not make routers themselves.
CREATE TABLE found_routers (
    node_id TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    router_id TEXT NOT NULL,
    PRIMARY KEY (node_id, router_id)
);
CREATE INDEX found_routers_by_router_id ON found_routers (router_id);

ALTER TABLE vpnservices ADD COLUMN status_reason TEXT;
ALTER TABLE vpnservices ADD COLUMN status_detail TEXT;
ALTER TABLE ipsec_site_connections ADD COLUMN status_reason TEXT;
ALTER TABLE ipsec_site_connections ADD COLUMN status_detail TEXT;

-- The last report about a tunnel, whole.
CREATE TABLE connection_states (
    connection_id TEXT PRIMARY KEY REFERENCES ipsec_site_connections (id) ON DELETE CASCADE,
    node_id TEXT NOT NULL,
    status TEXT NOT NULL,
    reported_at BIGINT NOT NULL
);
CREATE TABLE connection_events (
    connection_id TEXT NOT NULL REFERENCES ipsec_site_connections (id) ON DELETE CASCADE,
    sequence BIGINT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (connection_id, sequence)
);

-- Secrets of the deployment itself, as its certificate authority.
CREATE TABLE sealed_values (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
);
-- One-time tokens of agents. Of the secret there is a digest only; so of the key that was certified.
CREATE TABLE enrolments (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    host TEXT,
    key_digest BLOB,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
-- Hosts that have been let in and not been removed since.
CREATE TABLE enrolled_hosts (
    host TEXT PRIMARY KEY,
    enrolled_at BIGINT NOT NULL
);
