"""A real Keystone process: its own SQLite file, fernet keys and administrator in one directory."""

import getpass
import grp
import os
import pathlib
import secrets
import subprocess

from login import Login
from server import Server

HERE = pathlib.Path(__file__).resolve().parent
REGION = "RegionOne"

CONFIGURATION = """
[database]
connection = sqlite:///{directory}/keystone.db
[fernet_tokens]
key_repository = {directory}/fernet
[fernet_receipts]
key_repository = {directory}/receipts
[credential]
key_repository = {directory}/credential
[identity]
password_hash_rounds = 4
[cache]
enabled = false
"""


def python() -> pathlib.Path:
    """The Python that has Keystone: KEYSTONE_PYTHON, or the environment that scripts/test makes."""
    cached = HERE.parents[1] / ".cache" / "venv" / "keystone" / "bin" / "python"
    found = pathlib.Path(os.environ.get("KEYSTONE_PYTHON", cached))
    assert found.is_file(), f"{found} does not exist; `scripts/test clients` makes it"
    return found


class Keystone:
    """Started, stopped and started again on the same port with the same data."""

    def __init__(self, directory: pathlib.Path):
        self._directory = directory
        self._configuration = directory / "keystone.conf"
        self._configuration.write_text(CONFIGURATION.format(directory=directory))
        self._password = secrets.token_hex(12)
        for keys in ("fernet", "receipts", "credential"):
            (directory / keys).mkdir(mode=0o700)
        owner = ["--keystone-user", getpass.getuser(), "--keystone-group", grp.getgrgid(os.getgid()).gr_name]
        self._manage("db_sync")
        self._manage("fernet_setup", *owner)
        self._manage("receipt_setup", *owner)
        self._manage("credential_setup", *owner)
        self._server = self._start(0)
        self.auth_url = f"{self._server.url}/v3"
        self._manage(
            "bootstrap", "--bootstrap-password", self._password, "--bootstrap-region-id", REGION,
            "--bootstrap-public-url", self.auth_url, "--bootstrap-internal-url", self.auth_url)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._server.stop()

    def start_again(self):
        """Comes back on the port it had."""
        self._server = self._start(int(self.auth_url.split(":")[2].split("/")[0]))

    def admin_login(self) -> Login:
        """The administrator, in the project `admin`."""
        auth = {
            "auth_url": self.auth_url, "username": "admin", "password": self._password, "user_domain_id": "default",
            "project_name": "admin", "project_domain_id": "default"}
        return Login(tuple(auth.items()), region=REGION)

    def system_login(self) -> Login:
        """The administrator of the whole system, in no project."""
        return Login.with_password(self.auth_url, "admin", self._password, system=True, region=REGION)

    def _start(self, port) -> Server:
        return Server([python(), HERE / "keystone_wsgi.py", port, self._configuration], self._directory / "log")

    def _manage(self, *words):
        command = [python().with_name("keystone-manage"), "--config-file", self._configuration, *words]
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=120, check=False)
        assert ended.returncode == 0, f"keystone-manage {words[0]}:\n{ended.stdout}"
