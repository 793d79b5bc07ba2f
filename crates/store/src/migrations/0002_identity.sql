-- The embedded identity service: users, projects, roles, who has which role where, application
-- credentials and tokens. There is one domain, `default`, which needs no table. Secrets are here
-- only as argon2id hashes, tokens only as their SHA-256.

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    domain_id TEXT NOT NULL DEFAULT 'default',
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    email TEXT,
    enabled BIGINT NOT NULL,
    default_project_id TEXT,
    password_hash TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (domain_id, name)
);
CREATE TABLE projects (
    id TEXT PRIMARY KEY,
    domain_id TEXT NOT NULL DEFAULT 'default',
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    tags TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (domain_id, name)
);
CREATE TABLE roles (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- A target is of kind `project`, `domain` or `system`; the id of the system is `all`.
CREATE TABLE role_assignments (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    target_kind TEXT NOT NULL,
    target_id TEXT NOT NULL,
    role_id TEXT NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, target_kind, target_id, role_id)
);
CREATE INDEX role_assignments_by_target ON role_assignments (target_kind, target_id);
CREATE INDEX role_assignments_by_role ON role_assignments (role_id);

CREATE TABLE application_credentials (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    expires_at BIGINT,
    unrestricted BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (user_id, name)
);
CREATE INDEX application_credentials_by_project ON application_credentials (project_id);
CREATE TABLE application_credential_roles (
    application_credential_id TEXT NOT NULL REFERENCES application_credentials (id) ON DELETE CASCADE,
    role_id TEXT NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    PRIMARY KEY (application_credential_id, role_id)
);
CREATE INDEX application_credential_roles_by_role ON application_credential_roles (role_id);

-- Revoked tokens are deleted. `target_kind` is as above, or NULL for a token without scope.
CREATE TABLE tokens (
    token_hash BLOB PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    target_kind TEXT,
    target_id TEXT,
    methods TEXT NOT NULL,
    audit_id TEXT NOT NULL,
    parent_audit_id TEXT,
    application_credential_id TEXT REFERENCES application_credentials (id) ON DELETE CASCADE,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tokens_by_user ON tokens (user_id);
CREATE INDEX tokens_by_target ON tokens (target_kind, target_id);
CREATE INDEX tokens_by_application_credential ON tokens (application_credential_id);
CREATE INDEX tokens_by_expiry ON tokens (expires_at);
