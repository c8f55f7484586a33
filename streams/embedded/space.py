"""Is there room on the disk."""

import shutil
from pathlib import Path

from gridbeacon.errors import ConfigError

NEEDS_FREE_BYTES = 512 << 20
"""Below this a first start is refused: a broker or database whose disk fills up ends in the middle of its work."""
NEEDS_TO_RETURN_BYTES = 128 << 20
"""What is there already may come back with less: what it holds may be what makes room again."""


def check_space(directory: Path, *, returns: bool) -> None:
    """Return when the disk of ``directory`` has room; else raise ``ConfigError`` saying how much is free and needed.

    ``returns`` says that data is there from before.
    """
    free = shutil.disk_usage(directory).free
    needed = NEEDS_TO_RETURN_BYTES if returns else NEEDS_FREE_BYTES
    if free < needed:
        raise ConfigError(
            f"only {free / 1e6:.0f} MB are free on the disk of {directory} and {needed / 1e6:.0f} MB are "
            "needed; free some space, or set data_dir to a folder on another disk"
        )
