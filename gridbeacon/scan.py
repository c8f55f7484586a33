"""A prospective space-time scan: is there a zone, over the last minutes or hours, with more reports than its share?

Kulldorff's scan statistic (1997; prospective 2001; expected from the cases alone as in Kulldorff et al. 2005): for a
zone z and the last d windows, with c reports where mu are expected and C in all of the area,

    LLR = c ln(c / mu) + (C - c) ln((C - c) / (C - mu))    for c > mu, else 0.

Expected is each cell's usual share of what the area reports in each window: a day on which everybody calls is no
cluster. How often chance alone does as much is read off a Gumbel distribution, fitted to the maxima of redrawn areas
(Abrams, Kulldorff and Kleinman 2010), as a recurrence interval: one in so many days (Kleinman et al. 2004).
Pure: the same counts give the same clusters.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gridbeacon.frame import F8, I8

LEAST_REPORTS = 4
"""Fewer are no cluster, however unlikely."""
LEAST_LLR = 7.0
"""What is below can't be rare: it is not worth redrawing the area."""
REDRAWN = 99
_EULER = 0.5772156649


@dataclass(frozen=True, slots=True)
class Zones:
    """Sets of cells that are looked at together: the cells' numbers one after another, and where each zone begins."""

    cells: I8
    starts: I8

    def __len__(self) -> int:
        return len(self.starts)

    def of(self, number: int) -> list[int]:
        """Return the numbers of the cells of a zone."""
        end = self.starts[number + 1] if number + 1 < len(self.starts) else len(self.cells)
        return [int(n) for n in self.cells[self.starts[number] : end]]

    def sums(self, values: Any) -> Any:
        """Return the sums over each zone; ``values`` has the cells in its last dimension."""
        return np.add.reduceat(values[..., self.cells], self.starts, axis=-1)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A zone with more reports than its share over the last ``windows`` windows; one like it comes by chance once in
    ``recurs_days``."""

    cells: tuple[int, ...]
    windows: int
    reports: int
    expected: float
    llr: float
    recurs_days: float


def zones_of(sets: Iterable[Iterable[int]]) -> Zones:
    """Return the zones of sets of cells, each once. What one cell shows needs no scan: sets of one are left out."""
    once = sorted(one for one in {tuple(sorted(set(cells))) for cells in sets} if len(one) > 1)
    starts = np.cumsum([0, *(len(cells) for cells in once)])[:-1]
    return Zones(np.array([n for cells in once for n in cells], np.int64), np.asarray(starts, np.int64))


def neighbourhoods(codes: Sequence[str], near: Mapping[str, Iterable[str]], digits: Iterable[int]) -> Zones:
    """Return zones for cells whose positions are not known: each cell with one neighbour, also with those that adjoin
    both, with all neighbours, with theirs too, and the cells whose codes begin alike.

    >>> zones = neighbourhoods(["11", "12", "23"], {"11": ["12"]}, [1])
    >>> [zones.of(n) for n in range(len(zones))]
    [[0, 1]]
    """
    number = {code: n for n, code in enumerate(codes)}
    around = [{n, *(number[other] for other in near.get(code, ()) if other in number)} for n, code in enumerate(codes)]
    for n, others in enumerate([set(one) for one in around]):
        for other in others:
            around[other].add(n)
    pairs = [(n, other) for n, others in enumerate(around) for other in others if n < other]
    blocks = [{n, other, *(around[n] & around[other])} for n, other in pairs]
    wider = [set().union(*(around[other] for other in one)) for one in around]
    alike: dict[str, set[int]] = {}
    for length in digits:
        for code, n in number.items():
            alike.setdefault(code[:length], set()).add(n)
    return zones_of([*pairs, *blocks, *around, *wider, *alike.values()])


def likelihood(reports: F8, expected: F8, total: float) -> F8:
    """Return the log likelihood ratios of zones with so many reports of ``total``, 0 where there are not too many."""
    found = np.zeros(np.broadcast(reports, expected).shape)
    at = (reports > expected) & (reports >= LEAST_REPORTS) & (expected > 0)
    c, mu = reports[at], np.broadcast_to(expected, reports.shape)[at]
    rest, expected_rest = total - c, np.maximum(total - mu, 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        other = np.where(rest > 0, rest * np.log(np.maximum(rest, 1e-12) / expected_rest), 0.0)
    found[at] = c * np.log(c / mu) + other
    return found


def clusters(
    counts: F8, shares: F8, zones: Zones, *, window_days: float, least_days: float, seed: int, most: int = 3
) -> list[Cluster]:
    """Return the clusters that chance brings once in ``least_days`` at most, the clearest first, none overlapping.

    ``counts`` are reports by (window, cell), the newest window first; ``shares`` what is usual of each cell, adding up
    to 1 in each window. A cluster has reports from two cells at least: what one cell shows needs no scan.
    """
    in_all = counts.sum(axis=1)
    total = float(in_all.sum())
    if total < LEAST_REPORTS:
        return []
    expected = zones.sums(np.cumsum(shares * in_all[:, None], axis=0))
    summed = np.cumsum(counts, axis=0)
    seen = zones.sums(summed)
    ratios = likelihood(seen, expected, total)
    if _highest(ratios, summed, zones) < LEAST_LLR:
        return []
    centre, scale = _by_chance(in_all, shares, zones, expected, seed)
    found: list[Cluster] = []
    taken: set[int] = set()
    while len(found) < most:
        llr = _highest(ratios, summed, zones)
        at, zone = np.unravel_index(int(ratios.argmax()), ratios.shape)
        days = recurrence_days(llr, centre, scale, window_days)
        if llr < LEAST_LLR or days < least_days:
            break
        cells = zones.of(int(zone))
        if taken.isdisjoint(cells):
            found.append(Cluster(tuple(cells), int(at) + 1, int(seen[at, zone]), float(expected[at, zone]), llr, days))
            taken.update(cells)
            overlap = zones.sums(np.isin(np.arange(counts.shape[1]), list(taken)).astype(np.float64)) > 0
            ratios[:, overlap] = 0.0
    return found


def recurrence_days(llr: float, centre: float, scale: float, window_days: float) -> float:
    """Return once in how many days chance brings as high a maximum, under a Gumbel distribution of the maxima.

    >>> round(recurrence_days(5.0, 5.0, 1.0, 1.0), 2), round(recurrence_days(15.0, 5.0, 1.0, 1.0))
    (1.58, 22027)
    """
    chance = -math.expm1(-math.exp(min(-(llr - centre) / scale, 700.0)))
    return window_days / max(chance, 1e-12)


def _highest(ratios: F8, summed: F8, zones: Zones) -> float:
    """Return the highest ratio of a zone with reports from two cells; those of one cell are set to 0 on the way."""
    while ratios.size:
        at, zone = np.unravel_index(int(ratios.argmax()), ratios.shape)
        if not ratios[at, zone] or np.count_nonzero(summed[at, zones.of(int(zone))]) >= 2:
            return float(ratios[at, zone])
        ratios[at, zone] = 0.0
    return 0.0


def _by_chance(in_all: F8, shares: F8, zones: Zones, expected: F8, seed: int) -> tuple[float, float]:
    """Return centre and scale of the Gumbel distribution of the highest ratio in areas that are redrawn by share."""
    dice = np.random.default_rng(seed)
    highest = np.empty(REDRAWN)
    total = float(in_all.sum())
    for number in range(REDRAWN):
        drawn = np.stack([dice.multinomial(int(n), row) for n, row in zip(in_all, shares, strict=True)])
        summed = np.cumsum(drawn.astype(np.float64), axis=0)
        highest[number] = _highest(likelihood(zones.sums(summed), expected, total), summed, zones)
    scale = max(float(highest.std(ddof=1)) * math.sqrt(6.0) / math.pi, 0.3)
    return float(highest.mean()) - _EULER * scale, scale
