"""One server for the whole run, and tenants that do not see each other.

KAREZ_TEST_CLOUDS names a clouds.yaml whose entry `karez` is tested instead of a server started here. Pointed at an
OpenStack with real Keystone and Neutron VPNaaS, it shows whether the tests demand what the reference does.
"""

import os
import secrets

import openstack
import pytest
import yaml

from command_line import CommandLine
from login import Login, new_tenant
from scene import ExternalNetwork, Site
from server import Server, karez
from vpn_kinds import Chain

# What the caller's shell is logged in to must not reach a test.
for name in [name for name in os.environ if name.startswith("OS_")]:
    del os.environ[name]


@pytest.fixture(scope="session")
def clouds_yaml(tmp_path_factory):
    """Path of a clouds.yaml with the entry `karez`, the administrator."""
    if given := os.environ.get("KAREZ_TEST_CLOUDS"):
        yield given
        return
    state = tmp_path_factory.mktemp("state")
    argv = [karez(), "up", "--agent", "off", "--listen", "127.0.0.1:0", "--state-dir", state]
    with Server(argv, tmp_path_factory.mktemp("log") / "karez.log"):
        yield str(state / "clouds.yaml")


@pytest.fixture(scope="session")
def admin_login(clouds_yaml) -> Login:
    with open(clouds_yaml, encoding="utf-8") as file:
        return Login.of_cloud(yaml.safe_load(file)["clouds"]["karez"])


@pytest.fixture(scope="session")
def admin(admin_login) -> openstack.connection.Connection:
    """The administrator's SDK connection."""
    return admin_login.sdk()


@pytest.fixture(scope="session")
def admin_cli(admin_login):
    """The administrator's command line."""
    with CommandLine(admin_login) as started:
        yield started


@pytest.fixture(scope="session")
def network_url(admin) -> str:
    """Where the catalog says the network service is."""
    return admin.network.get_endpoint().rstrip("/").removesuffix("/v2.0")


@pytest.fixture(scope="module")
def tenant(admin, admin_login):
    """A member of a project that only this module uses."""
    with new_tenant(admin, admin_login, "member") as made:
        yield made


@pytest.fixture(scope="module")
def neighbour(admin, admin_login):
    """A member of another project."""
    with new_tenant(admin, admin_login, "member") as made:
        yield made


@pytest.fixture(scope="module")
def cli(tenant):
    """The member's command line."""
    with CommandLine(tenant.login) as started:
        yield started


@pytest.fixture(scope="module")
def sdk(tenant) -> openstack.connection.Connection:
    """The member's SDK connection."""
    return tenant.login.sdk()


@pytest.fixture(scope="module")
def neutron(tenant):
    """The member's neutronclient."""
    return tenant.login.neutron()


@pytest.fixture(scope="session")
def external(admin):
    """The external network that gives routers their outer addresses."""
    with ExternalNetwork(admin, "200.200.128.0/24") as made:
        yield made


@pytest.fixture(scope="module")
def site(sdk, external):
    """The member's network, subnet and router with a gateway, as in the seed scene."""
    with Site(sdk, external, "10.10.10.0/24") as made:
        yield made


@pytest.fixture(scope="module")
def chain(sdk, site):
    """Policies and a service for the member's connections."""
    with Chain(sdk, site) as made:
        yield made


@pytest.fixture
def name() -> str:
    """A name that no other object has."""
    return f"name-{secrets.token_hex(4)}"
