"""What may take longest begins first, so that no worker is left alone with it at the end; each has ports of its own."""

import os

import pytest

from streams.embedded import ports

SHARE = 3_000
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
"""The number of this process among those that share the tests."""


def pytest_configure() -> None:
    """Give this process a range of its own: a port is chosen some time before anything listens on it."""
    ports.FIRST += int(WORKER) % ((ports.LAST - ports.FIRST) // SHARE) * SHARE
    ports.LAST = ports.FIRST + SHARE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files by the time that their tests are given, then those with real parts before the others."""
    given: dict[str, float] = {}
    for item in items:
        mark = item.get_closest_marker("timeout")
        secs = float(mark.args[0]) if mark is not None and mark.args else 0.0
        file = item.location[0]
        given[file] = max(given.get(file, 0.0), secs, float(item.get_closest_marker("integration") is not None))
    items.sort(key=lambda item: -given[item.location[0]])
