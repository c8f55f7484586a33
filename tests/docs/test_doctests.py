"""Every example in a docstring says what happens."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

PACKAGES = ("gridbeacon", "detectors", "streams", "sinks")
#: Importing these runs a command.
COMMANDS = ("__main__",)


def modules() -> list[str]:
    found = []
    for package in PACKAGES:
        top = importlib.import_module(package)
        inside = pkgutil.walk_packages(top.__path__, f"{package}.")
        found += [package, *[info.name for info in inside if info.name.rpartition(".")[2] not in COMMANDS]]
    return found


@pytest.mark.parametrize("name", modules())
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"np": np})
    assert result.failed == 0


def test_there_are_examples() -> None:
    attempted = sum(
        doctest.testmod(importlib.import_module(name), extraglobs={"np": np}).attempted for name in modules()
    )
    assert attempted > 20
