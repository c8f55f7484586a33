"""What may take longest begins first, so that no worker is left alone with it at the end; then servers are ended."""

import pytest

from tests import servers

#: Folders whose tests need no server that outlives one test. They come last.
ALONE = ("docs", "scenarios", "unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files: those with servers before the others, and among these by the time that their tests are given."""
    given: dict[str, float] = {}
    for item in items:
        mark = item.get_closest_marker("timeout")
        secs = float(mark.args[0]) if mark is not None and mark.args else 0.0
        file = item.location[0]
        given[file] = max(given.get(file, 0.0), secs)
    items.sort(key=lambda item: (_alone(item), -given[item.location[0]]))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """End the servers of the session once nobody asks for them any more: idle ones take a tenth of a core."""
    if _alone(item):
        servers.end_shared()


def _alone(item: pytest.Item) -> bool:
    return item.path.parent.name in ALONE
