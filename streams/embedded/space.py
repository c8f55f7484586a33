"""Is there room on the disk."""

import shutil
from pathlib import Path

from gridbeacon.errors import ConfigError

NEEDS_FREE_BYTES = 512 * 1024 * 1024
"""Below this a start is refused: a broker or database whose disk fills up ends in the middle of its work."""


def check_space(directory: Path) -> None:
    """Return when the disk of ``directory`` has room; else raise ``ConfigError`` saying how much is free and needed."""
    free = shutil.disk_usage(directory).free
    if free < NEEDS_FREE_BYTES:
        raise ConfigError(
            f"only {free / 1e6:.0f} MB are free on the disk of {directory} and {NEEDS_FREE_BYTES / 1e6:.0f} MB are "
            "needed; free some space, or set data_dir to a folder on another disk"
        )
