"""Who a test logs in as, and the three clients that can be had for a login."""

import contextlib
import dataclasses
import secrets

import openstack
from keystoneauth1 import loading
from keystoneauth1 import session as keystone_session
from neutronclient.v2_0 import client as neutronclient


@dataclasses.dataclass(frozen=True)
class Login:
    """Credentials in the words that clouds.yaml uses."""

    auth: tuple
    auth_type: str = "password"
    region: str | None = None

    @classmethod
    def with_password(cls, auth_url, username, password, *, project_id=None, system=False, region=None):
        auth = {"auth_url": auth_url, "username": username, "password": password, "user_domain_id": "default"}
        if project_id:
            auth["project_id"] = project_id
        if system:
            auth["system_scope"] = "all"
        return cls(tuple(auth.items()), region=region)

    @classmethod
    def with_application_credential(cls, auth_url, credential_id, secret, region=None):
        auth = {
            "auth_url": auth_url, "application_credential_id": credential_id,
            "application_credential_secret": secret,
        }
        return cls(tuple(auth.items()), auth_type="v3applicationcredential", region=region)

    @classmethod
    def of_cloud(cls, cloud: dict):
        """The login that one entry of a clouds.yaml describes."""
        return cls(
            tuple(cloud["auth"].items()), auth_type=cloud.get("auth_type", "password"),
            region=cloud.get("region_name"))

    @property
    def auth_url(self) -> str:
        return dict(self.auth)["auth_url"]

    def session(self) -> keystone_session.Session:
        """A keystoneauth session that has not logged in yet."""
        plugin = loading.get_plugin_loader(self.auth_type).load_from_options(**dict(self.auth))
        return keystone_session.Session(auth=plugin)

    def sdk(self) -> openstack.connection.Connection:
        return openstack.connection.Connection(session=self.session(), region_name=self.region)

    def neutron(self) -> neutronclient.Client:
        return neutronclient.Client(session=self.session(), region_name=self.region)

    def options(self) -> list[str]:
        """The same login as options of the `openstack` command."""
        words = ["--os-auth-type", self.auth_type]
        for key, value in self.auth:
            words += ["--os-" + key.replace("_", "-"), value]
        return words + (["--os-region-name", self.region] if self.region else [])


@dataclasses.dataclass(frozen=True)
class Tenant:
    """A project of its own and a user with roles in it."""

    project_id: str
    project_name: str
    user_id: str
    username: str
    login: Login


@contextlib.contextmanager
def new_tenant(admin: openstack.connection.Connection, like: Login, role: str, project=None):
    """Makes a user with `role` in a fresh project, or in `project`, and takes both away again."""
    mark = secrets.token_hex(4)
    password = secrets.token_hex(12)
    made = None if project else admin.identity.create_project(name=f"project-{mark}", domain_id="default")
    home = project or made
    user = admin.identity.create_user(
        name=f"{role}-{mark}", password=password, domain_id="default", default_project_id=home.id)
    try:
        admin.identity.assign_project_role_to_user(home.id, user.id, admin.identity.find_role(role).id)
        login = Login.with_password(like.auth_url, user.name, password, project_id=home.id, region=like.region)
        yield Tenant(home.id, home.name, user.id, user.name, login)
    finally:
        admin.identity.delete_user(user)
        if made:
            admin.identity.delete_project(made)
