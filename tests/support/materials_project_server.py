"""A server in the place of the Materials Project's, with answers in the form of its API."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pymatgen.core import SETTINGS, Lattice, Structure

KEY = "k" * 32
RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)
ROCK_SALT = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.06), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
ANSWER = [
    {"material_id": "mp-19094", "structure": RUTILE.as_dict(), "energy_above_hull": 0.02},
    {"material_id": "mp-19184", "structure": ROCK_SALT.as_dict(), "energy_above_hull": 0.4},
]


@contextmanager
def materials_project(answer, status=200):
    """The server, and a key for it; gives the list of what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["x-api-key"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(SETTINGS, "PMG_MAPI_KEY", KEY)
        address = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setitem(SETTINGS, "PMG_MAPI_ENDPOINT", address)
        yield asked
    server.shutdown()
    server.server_close()
