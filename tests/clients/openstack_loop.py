"""The real `openstack` command, started once and told one command after another.

Run as a process by command_line.py: takes the login as options, reads one command per line as a JSON string, answers
one JSON object per line. A start costs a second of imports, so the tests share one per login; a process of its own
per login, because the client keeps its connections in class attributes.
"""

import contextlib
import io
import json
import logging
import shlex
import sys

from openstackclient import shell


def main(login_options):
    openstack = shell.OpenStackShell()
    answers = sys.stdout
    start = lambda words: openstack.run(login_options + words)
    for line in sys.stdin:
        output, complaints = io.StringIO(), Complaints()
        logging.getLogger().addHandler(complaints)
        openstack.stdout = output
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            try:
                code = start(shlex.split(json.loads(line)))
            except SystemExit as ended:
                # argparse ends the process when it does not understand the words.
                code = ended.code or 1
        logging.getLogger().removeHandler(complaints)
        start = openstack.run_subcommand
        answer = {"code": code, "output": output.getvalue(), "complaint": "\n".join(complaints.lines)}
        print(json.dumps(answer), file=answers, flush=True)


class Complaints(logging.Handler):
    """What the command logs as an error, which is how it tells the user why it failed."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


if __name__ == "__main__":
    main(sys.argv[1:])
