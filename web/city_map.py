"""The map: the cells' outlines as one path, and where each cell is. Drawn once; levels are laid over it."""

import math
from dataclasses import dataclass

from gridbeacon.registry import Registry

WIDTH = 1000.0
TALLEST, FLATTEST = 1.1, 0.3
"""Height of the picture as a share of its width."""
MARGIN = 20.0


@dataclass(frozen=True, slots=True)
class Plot:
    """One cell on the map: its outline, and its middle."""

    path: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class CityMap:
    """The whole map; without any outline it is empty."""

    height: float
    base: str
    plots: dict[str, Plot]

    @property
    def is_empty(self) -> bool:
        """Whether no cell has an outline."""
        return not self.plots


def draw(registry: Registry) -> CityMap:
    """Return the map of a registry, north up, in true proportions at the city's latitude."""
    rings = {cell.grid_id: cell.polygon for cell in registry.cells.values() if len(cell.polygon) > 2}
    if not rings:
        return CityMap(0.0, "", {})
    points = [point for ring in rings.values() for point in ring]
    west, east = min(x for x, _ in points), max(x for x, _ in points)
    south, north = min(y for _, y in points), max(y for _, y in points)
    squeeze = max(0.05, math.cos(math.radians((south + north) / 2)))
    across, up = max((east - west) * squeeze, 1e-9), max(north - south, 1e-9)
    height = min(max(up / across, FLATTEST), TALLEST) * WIDTH
    scale = min((WIDTH - 2 * MARGIN) / across, (height - 2 * MARGIN) / up)
    left, top = (WIDTH - across * scale) / 2, (height - up * scale) / 2

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (x - west) * squeeze * scale, top + (north - y) * scale

    plots = {}
    for name, ring in rings.items():
        flat = [place(x, y) for x, y in ring]
        if flat[0] == flat[-1]:
            flat.pop()
        plots[name] = Plot(_path(flat), sum(x for x, _ in flat) / len(flat), sum(y for _, y in flat) / len(flat))
    return CityMap(round(height, 1), "".join(plot.path for plot in plots.values()), plots)


def _path(points: list[tuple[float, float]]) -> str:
    """Return a closed path, each corner relative to the last in tenths: short for thousands of cells.

    >>> _path([(1.0, 2.0), (3.0, 2.0), (3.0, 4.5)])
    'M1 2h2v2.5z'
    """
    x, y = (round(value, 1) for value in points[0])
    said = f"M{x:g} {y:g}"
    for to_x, to_y in points[1:]:
        across, down = round(to_x - x, 1), round(to_y - y, 1)
        x, y = round(x + across, 1), round(y + down, 1)
        if not down:
            said += f"h{across:g}"
        elif not across:
            said += f"v{down:g}"
        else:
            said += f"l{across:g} {down:g}"
    return f"{said}z"
