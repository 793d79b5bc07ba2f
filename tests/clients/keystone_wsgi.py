"""Serves a real Keystone on loopback: PORT CONFIGURATION.

Run by keystone_process.py, with the Python that has Keystone.
"""

import os
import sys

import waitress

port, configuration = sys.argv[1:]
# Keystone reads the command line and the environment when it is imported.
sys.argv[1:] = []
os.environ["OS_KEYSTONE_CONFIG_FILES"] = configuration

from keystone.wsgi.api import application  # noqa: E402

server = waitress.create_server(application, host="127.0.0.1", port=int(port), threads=4)
print(f"Keystone listens on http://127.0.0.1:{server.effective_port}", flush=True)
server.run()
