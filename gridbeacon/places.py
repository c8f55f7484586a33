"""Where things go: the area of a cell and the partition of a key. Stable for ever: stored data depends on both."""

from zlib import crc32


def area_of(grid_id: str, digits: int = 6) -> str:
    """Return the area (county, district) of a grid cell: the first ``digits`` characters of its code.

    >>> area_of("310101001002003")
    '310101'
    """
    return grid_id[:digits]


def partition_of(key: str, partitions: int) -> int:
    """Return the partition 0..partitions-1 of a key; the same on every machine and in every process.

    >>> partition_of("CAM-0012", 4)
    2
    """
    return crc32(key.encode()) % partitions
