"""The registry: which sensors and grid cells a city has, and which cell a point lies in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gridbeacon.model import Cell, Sensor


@dataclass(frozen=True, slots=True)
class Registry:
    """Sensors by ``sensor_id`` and cells by ``grid_id``."""

    sensors: Mapping[str, Sensor] = field(default_factory=dict)
    cells: Mapping[str, Cell] = field(default_factory=dict)

    def cell_at(self, lat: float, long: float) -> str | None:
        """Return the code of the first cell whose polygon contains a point (degrees, WGS 84), or None."""
        for cell in self.cells.values():
            if cell.polygon and contains(cell.polygon, long, lat):
                return cell.grid_id
        return None


def contains(ring: tuple[tuple[float, float], ...], x: float, y: float) -> bool:
    """Return whether a ring of (x, y) contains a point, by the even-odd rule.

    >>> contains(((0, 0), (2, 0), (2, 2), (0, 2)), 1, 1), contains(((0, 0), (2, 0), (2, 2), (0, 2)), 3, 1)
    (True, False)
    """
    inside = False
    before_x, before_y = ring[-1]
    for at_x, at_y in ring:
        if (at_y > y) != (before_y > y) and x < (before_x - at_x) * (y - at_y) / (before_y - at_y) + at_x:
            inside = not inside
        before_x, before_y = at_x, at_y
    return inside


def is_grid_code(text: object, pattern: str) -> bool:
    r"""Return whether ``text`` is a string that the whole of ``pattern`` matches.

    >>> is_grid_code("310101001002003", r"\d{15}"), is_grid_code("31010100100200x", r"\d{15}")
    (True, False)
    """
    return isinstance(text, str) and re.fullmatch(pattern, text, re.ASCII) is not None
