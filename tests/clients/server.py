"""Starts a server of ours, waits until it says where it listens, and ends it."""

import os
import pathlib
import re
import signal
import subprocess
import time

LISTENS = re.compile(r"listens on (https?://[\w.:\[\]-]+)")
START_SECONDS = 30


class Server:
    """A running process that printed `... listens on URL`; a context manager that ends it."""

    def __init__(self, argv, log: pathlib.Path, env=None):
        self._argv = [str(word) for word in argv]
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                self._argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
            )
        self.url = self._wait_until_it_listens()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Asks it to end, and insists when it does not."""
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"did not end within 15 s of SIGTERM: {self._argv}") from None

    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def _wait_until_it_listens(self) -> str:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if found := LISTENS.search(self.output()):
                return found[1].rstrip("/")
            if self._process.poll() is not None:
                raise AssertionError(f"ended with {self._process.returncode}: {self._argv}\n{self.output()}")
            time.sleep(0.02)
        self._process.kill()
        self._process.wait()
        raise AssertionError(f"does not listen after {START_SECONDS} s: {self._argv}\n{self.output()}")


def karez() -> pathlib.Path:
    """The binary under test: KAREZ_BIN, or the debug build of this checkout."""
    named = os.environ.get("KAREZ_BIN")
    root = pathlib.Path(__file__).resolve().parents[2]
    binary = pathlib.Path(named) if named else root / "target" / "debug" / "karez"
    assert binary.is_file(), f"{binary} does not exist; build it with `cargo build`"
    return binary
