"""Where things go: the area of a cell and the partition of a key. Stable for ever: stored data depends on both."""

from zlib import crc32

from gridbeacon.config import AlarmBudget, Config


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


def area_of_alert(alert_id: str) -> str:
    """Return the area that an alert's id names, "" when it names none.

    >>> area_of_alert("310101-49a2b0c9bf7f9bd7")
    '310101'
    """
    return alert_id.rpartition("-")[0]


def levels_of(config: Config) -> tuple[int, ...]:
    """Return how long the codes of the areas are that are watched as a whole, the largest area first.

    Areas that are larger than an alert's area lie in several partitions of ``signals``: they are left out.

    >>> from gridbeacon.config import Grid
    >>> levels_of(Config()), levels_of(Config(grid=Grid(area_digits=9)))
    ((6, 9, 12), (9, 12))
    """
    return tuple(sorted({digits for digits in config.detect.area_digits if digits >= config.grid.area_digits}))


AREA, CELL = "area", "cell"
"""The kinds of source of series that are of several sources: ``area/PLACE/KIND.METRIC``, ``cell/CELL/joint``."""


def is_together(source: str) -> bool:
    """Return whether a source (``kind/source``) is several at once.

    >>> is_together("area/310101"), is_together("crowd/CAM-1")
    (True, False)
    """
    return source.partition("/")[0] in (AREA, CELL)


def source_of(series: str) -> str:
    """Return ``kind/source`` of a series name (metric names hold no slash, sources may).

    >>> source_of("crowd/CAM-1/zone-2/people_count"), source_of("crowd/CAM-1/zone-2")
    ('crowd/CAM-1/zone-2', 'crowd/CAM-1')
    """
    return series.rpartition("/")[0]


def kind_of(series: str) -> str:
    """Return ``crowd``, ``traffic`` or ``events``: what a series, or the sum over an area, is about.

    >>> kind_of("crowd/CAM-1/people_count"), kind_of("area/310101/traffic.intensity_per_h")
    ('crowd', 'traffic')
    """
    kind, _, rest = series.partition("/")
    return rest.rpartition("/")[2].partition(".")[0] if kind == AREA else kind


def class_of(series: str) -> str:
    """Return the class of a series, ``kind/metric``.

    >>> class_of("crowd/CAM-1/zone-2/people_count")
    'crowd/people_count'
    """
    return f"{series.partition('/')[0]}/{series.rpartition('/')[2]}"


def pool_of(budget: AlarmBudget, cell: str, metric_class: str) -> int:
    """Return the number of the first share of the alarm budget that names this cell and class, from 1; else 0."""
    kind, _, metric = metric_class.partition("/")
    for number, one in enumerate(budget.shares, 1):
        if cell.startswith(one.cells) and one.kind in ("any", kind) and one.metric in ("", metric):
            return number
    return 0
