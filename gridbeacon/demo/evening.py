"""The demonstration's time line: three months of Auckland as history, then New Year's Eve with the made square."""

import heapq
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from gridbeacon.demo import auckland, square
from gridbeacon.model import Tick
from gridbeacon.registry import Registry
from gridbeacon.timeline import Line, ticked

_ZONE = ZoneInfo(auckland.TIMEZONE)


def _ms(hour: int, minute: int = 0) -> int:
    return round(datetime(2022, 12, 31, hour, minute, tzinfo=_ZONE).timestamp() * 1000)


#: New Year's Eve 2022 in Auckland: when the evening begins, when the crush does, when the data end.
EVENING_MS, CRUSH_MS = _ms(20), _ms(22, 30)
END_MS = _ms(23, 59) + 60_000


def registry() -> Registry:
    """Return the sensors and cells of both."""
    return Registry(
        {sensor.sensor_id: sensor for sensor in (*auckland.sensors(), *square.sensors())},
        {cell.grid_id: cell for cell in (*auckland.cells(), *square.cells())},
    )


def history() -> Iterator[Line | Tick]:
    """Yield everything until the evening begins."""
    yield from ticked((line for line in auckland.lines() if line.time_ms < EVENING_MS), 3_600_000)


def evening() -> Iterator[Line | Tick]:
    """Yield New Year's Eve from 20:00 until midnight, with the square."""
    real = (line for line in auckland.lines() if line.time_ms >= EVENING_MS)
    made = square.lines(EVENING_MS, END_MS, CRUSH_MS)
    yield from ticked(heapq.merge(real, made, key=lambda line: line.time_ms), 60_000)
