"""A role's word that it works: its partitions are assigned and restored. Whoever started it may wait for that."""

import os
from pathlib import Path

VARIABLE = "GRIDBEACON_READY_FILE"
"""The environment variable that names the file which says so."""


def tell() -> None:
    """Say that this process is ready, if anybody wants to know."""
    if name := os.environ.get(VARIABLE):
        Path(name).touch()


def asked_in(file: Path) -> dict[str, str]:
    """Return the environment for a child that is to say in ``file`` that it is ready, which it has not yet."""
    file.unlink(missing_ok=True)
    return {VARIABLE: str(file)}
