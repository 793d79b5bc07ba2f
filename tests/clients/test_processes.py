"""What only a process of its own can show: openrc, clouds.yaml, exit codes, what goes to which stream."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

from server import Server, karez

OPENSTACK = pathlib.Path(sys.executable).with_name("openstack")


@pytest.fixture
def state(clouds_yaml):
    """The state directory, which a cloud that was not started here does not have."""
    directory = pathlib.Path(clouds_yaml).parent
    if not (directory / "openrc").exists():
        pytest.skip("the cloud under test was not started by `karez up`")
    return directory


def run(argv, typed="", **environment):
    return subprocess.run(
        [str(word) for word in argv], env=os.environ | environment, input=typed, capture_output=True, text=True,
        timeout=60, check=False)


def test_a_sourced_openrc_is_all_that_the_command_needs(state):
    ended = run(["sh", "-c", f". {state}/openrc && exec {OPENSTACK} token issue -f json"])
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["project_id"]


def test_clouds_yaml_is_all_that_the_command_needs(clouds_yaml):
    ended = run([OPENSTACK, "--os-cloud", "karez", "vpn", "service", "list", "-f", "json"],
                OS_CLIENT_CONFIG_FILE=clouds_yaml)
    assert ended.returncode == 0, ended.stderr
    assert isinstance(json.loads(ended.stdout), list)


def test_a_refusal_ends_with_an_exit_code_and_tells_why_on_standard_error(clouds_yaml):
    ended = run([OPENSTACK, "--os-cloud", "karez", "vpn", "service", "show", "no-such-service"],
                OS_CLIENT_CONFIG_FILE=clouds_yaml)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "no-such-service" in ended.stderr


def test_the_batch_mode_runs_one_command_after_another_from_standard_input(clouds_yaml):
    # Its exit code is 1 whatever happens; the client's own affair.
    ended = run([OPENSTACK], "token issue -c user_id -f value\nuser show admin -c id -f value\n", OS_CLOUD="karez",
                OS_CLIENT_CONFIG_FILE=clouds_yaml)
    first, second = ended.stdout.split()
    assert first == second
    assert ended.stderr == ""


def test_what_holds_secrets_is_for_its_owner_only(state):
    for name in ("openrc", "clouds.yaml", "secret.key"):
        assert (state / name).stat().st_mode & 0o077 == 0, name


def token(openrc):
    return run(["sh", "-c", f". {openrc} && exec {OPENSTACK} token issue -f json"])


def test_a_start_on_a_taken_port_says_so_and_spoils_nothing_for_the_next_one(tmp_path):
    state = tmp_path / "state"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run([karez(), "up", "--agent", "off", "--listen", f"127.0.0.1:{port}", "--state-dir", state])
    assert ended.returncode != 0
    assert str(port) in ended.stderr
    with Server([karez(), "up", "--agent", "off", "--listen", "127.0.0.1:0", "--state-dir", state], tmp_path / "log"):
        ended = token(state / "openrc")
        assert ended.returncode == 0, ended.stderr


def test_after_a_restart_on_another_port_openrc_leads_to_it(tmp_path):
    state = tmp_path / "state"
    argv = [karez(), "up", "--agent", "off", "--listen", "127.0.0.1:0", "--state-dir", state]
    with Server(argv, tmp_path / "log") as first:
        user = json.loads(token(state / "openrc").stdout)["user_id"]
    address = ("127.0.0.1", int(first.url.rpartition(":")[2]))
    with socket.create_server(address), Server(argv, tmp_path / "log"):
        ended = token(state / "openrc")
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["user_id"] == user
