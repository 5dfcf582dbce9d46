"""`rlaunch` on a host that reaches nothing but its own database."""

from __future__ import annotations

import socket
import sys

_connect = socket.socket.connect


def connect(self: socket.socket, address: object) -> None:
    """Connect to this host alone."""
    if isinstance(address, tuple) and address[0] not in {"127.0.0.1", "::1"}:
        raise OSError(f"no network: {address}")
    _connect(self, address)


if __name__ == "__main__":
    socket.socket.connect = connect
    from fireworks.scripts.rlaunch_run import rlaunch

    rlaunch(sys.argv[1:])
