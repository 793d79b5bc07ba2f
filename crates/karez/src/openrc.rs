//! Files by which clients find the server: an openrc for the shell, a clouds.yaml for programs.

/// What clients need to know.
pub(crate) struct Access<'a> {
    /// The URL of the server.
    pub base: &'a str,
    /// The administrator's password.
    pub password: &'a str,
}

impl Access<'_> {
    /// A file for `source`.
    pub(crate) fn openrc(&self) -> String {
        format!(
            "# The administrator of this Karez. Use it with: source openrc\n\
             unset OS_CLOUD OS_TOKEN OS_SYSTEM_SCOPE\n\
             export OS_AUTH_TYPE=password\n\
             export OS_AUTH_URL='{base}/identity/v3'\n\
             export OS_IDENTITY_API_VERSION=3\n\
             export OS_USERNAME=admin\n\
             export OS_PASSWORD='{password}'\n\
             export OS_USER_DOMAIN_NAME=Default\n\
             export OS_PROJECT_NAME=admin\n\
             export OS_PROJECT_DOMAIN_NAME=Default\n\
             export OS_REGION_NAME=RegionOne\n",
            base = self.base,
            password = self.password,
        )
    }

    /// A file for OS_CLIENT_CONFIG_FILE, or a place where clients look by themselves.
    pub(crate) fn clouds(&self) -> String {
        format!(
            "# The administrator of this Karez. Use it with: openstack --os-cloud karez\n\
             clouds:\n\
             \x20 karez:\n\
             \x20   auth_type: password\n\
             \x20   auth:\n\
             \x20     auth_url: '{base}/identity/v3'\n\
             \x20     username: admin\n\
             \x20     password: '{password}'\n\
             \x20     user_domain_name: Default\n\
             \x20     project_name: admin\n\
             \x20     project_domain_name: Default\n\
             \x20   region_name: RegionOne\n\
             \x20   identity_api_version: 3\n",
            base = self.base,
            password = self.password,
        )
    }
}
