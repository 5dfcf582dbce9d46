"""Fixtures that several folders share; they are made once per session."""

from __future__ import annotations

import logging

import pytest
from caught_figures import figures
from launch_pads import launchpad, launchpad_file, store, stores
from mongo_server import database, server
from tiny_model import crystals, tiny, trained

__all__ = [
    "crystals",
    "database",
    "figures",
    "launchpad",
    "launchpad_file",
    "root_logger",
    "server",
    "store",
    "stores",
    "tiny",
    "trained",
]


SLOWEST = (
    "test_readme.py",
    "test_examples.py",
    "test_faults_farm.py",
    "test_cli_discover.py",
    "test_cases_settings.py",
)
"""Files with tests of minutes: begun last, they would leave the other process idle."""


def pytest_collection_modifyitems(items):
    """Put the slowest tests first; all others keep their order."""
    items.sort(key=lambda item: item.path.name not in SLOWEST)


@pytest.fixture(autouse=True)
def root_logger():
    """Put the root logger back: maggma's `Builder.run` leaves it verbose, with one more handler."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield root
    root.setLevel(level)
    root.handlers[:] = handlers
