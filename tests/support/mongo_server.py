"""A MongoDB server for tests: the one that MONGODB_URI names, or SecantusDB as a process of its own.

SecantusDB (GPL) speaks MongoDB's wire protocol; it is started as a program and never imported.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymongo
import pytest

PROGRAM = "secantusd-py"
START_SECONDS = 120.0


@contextmanager
def mongo_uri(folder: Path) -> Iterator[str]:
    """URI of a server that runs as long as the context does; skips the test where there is none."""
    if uri := os.environ.get("MONGODB_URI"):
        yield uri
        return
    beside = Path(sys.executable).with_name(PROGRAM)
    program = str(beside) if beside.is_file() else shutil.which(PROGRAM)
    if program is None:
        pytest.skip(f"no MongoDB: MONGODB_URI is not set and {PROGRAM} is not installed")
    port = _free_port()
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "--port", str(port), "--storage-path", str(folder / "database")],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(port, process, log)
            yield f"mongodb://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{PROGRAM} does not answer:\n{log.read_text(errors='replace')}")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """URI of a MongoDB server."""
    with mongo_uri(tmp_path_factory.mktemp("mongo")) as uri:
        yield uri.rstrip("/")


@pytest.fixture
def database(server):
    """URI of a database of its own, dropped afterwards."""
    name = f"vogen_test_{uuid.uuid4().hex[:12]}"
    yield f"{server}/{name}"
    with pymongo.MongoClient(server) as client:
        client.drop_database(name)
