"""The real `openstack` command with one login; openstack_loop.py is the other end."""

import dataclasses
import json
import pathlib
import subprocess
import sys

LOOP = pathlib.Path(__file__).with_name("openstack_loop.py")


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    output: str
    complaint: str


class CommandLine:
    """`openstack` with one login; a context manager that ends its process."""

    def __init__(self, login):
        self._process = subprocess.Popen(
            [sys.executable, LOOP, *login.options()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(timeout=15)
        self._process.stdout.close()

    def run(self, line: str) -> Ended:
        """Runs one command, as a user would type it after `openstack`."""
        print(json.dumps(line), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, f"the client's process died at: openstack {line}"
        return Ended(**json.loads(answer))

    def do(self, line: str) -> str:
        """Runs a command that has to succeed; answers what it printed."""
        ended = self.run(line)
        assert ended.code == 0, f"openstack {line}\nended with {ended.code}: {ended.complaint}\n{ended.output}"
        return ended.output

    def json(self, line: str):
        """What the command shows: a dictionary for an object, a list of them for rows."""
        return json.loads(self.do(f"{line} -f json"))

    def id(self, line: str) -> str:
        """The id of the object that the command makes or shows."""
        shown = self.json(line)
        return shown.get("ID") or shown["id"]

    def refusal(self, line: str) -> str:
        """Runs a command that has to fail; answers what the user is told."""
        ended = self.run(line)
        assert ended.code != 0, f"openstack {line}\nshould have been refused, and printed: {ended.output}"
        return f"{ended.complaint}\n{ended.output}"
