"""The series of a partition in the order of their names, and what they add up to: cells of a place, kinds of a cell."""

from typing import Any

import numpy as np

from detectors.states import States
from gridbeacon.frame import F8, I8
from gridbeacon.vocabulary import METRICS


class Groups:
    """Numbers of groups, as arrays by series; groups are numbered in the order of what names them.

    ``order`` are the series by name. ``in_place[series]`` is a group of ``places``, (place, class, cell), with the
    number of its (place, class) in ``whole``; ``in_cell[series]`` one of ``cells``, (cell, kind). A place is the first
    ``digits`` characters of a cell.
    """

    def __init__(self, states: States, digits: int) -> None:
        self._states, self._digits = states, digits
        self._as_of = (-1, -1)
        self.order, self.in_place, self.in_cell, self.whole = (np.zeros(0, np.int64) for _ in range(4))
        self.places: list[tuple[str, str, str]] = []
        self.cells: list[tuple[str, str]] = []

    def refresh(self) -> None:
        """Take in series that are new, and sources that have moved to another cell."""
        states = self._states
        if self._as_of == (len(states), states.moves):
            return
        self._as_of = len(states), states.moves
        self.order = np.array(sorted(range(len(states)), key=states.keys.__getitem__), np.int64)
        of = [(states.cells[source], METRICS[metric]) for source, metric in states.series_keys]
        self.places, self.in_place = _numbered(
            [(cell[: self._digits], f"{metric.kind}/{metric.name}", cell) for cell, metric in of]
        )
        self.cells, self.in_cell = _numbered([(cell, metric.kind) for cell, metric in of])
        self.whole = _numbered([(place, metric_class) for place, metric_class, _ in self.places])[1]


def _numbered(names: list[Any]) -> tuple[list[Any], I8]:
    """Return the different names in order, and the number of each."""
    found = sorted(set(names))
    number = {name: n for n, name in enumerate(found)}
    return found, np.array([number[name] for name in names], np.int64)


def added(group: I8, columns: F8) -> tuple[I8, F8]:
    """Return the groups that occur, ascending, and the sums of their rows, added up in the order of the rows.

    >>> groups, sums = added(np.array([7, 2, 7]), np.array([[1.0], [2.0], [4.0]]))
    >>> groups.tolist(), sums.tolist()
    ([2, 7], [[2.0], [5.0]])
    """
    groups, at = np.unique(group, return_inverse=True)
    sums = [np.bincount(at, column, len(groups)) for column in columns.T]
    return groups, np.stack(sums, axis=1)
