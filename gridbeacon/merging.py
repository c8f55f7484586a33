"""Which cells are one situation: the rules by which situations merge and split, over the cells in which findings stand.

1. Cells that adjoin are connected (the registry's neighbours), as far as they lie in one area.
2. Cells of one street are connected when in both of them something *diffuse* stands: something that is only unusual,
   reports that are counted, doubts about data. A storm or a cut line has no exact place. So are such a cell and an area
   that is unusual as a whole.
3. What is connected is one situation. What was one situation stays one, also when what lies between is over.
4. But places at orange or red that don't touch are situations of their own; every other cell goes with the nearest.
5. Of situations that become one, the oldest goes on. Of the parts of one that splits, that which holds most of its
   orange and red cells goes on, and each other part is new.

All of it follows from what stands where, and from what was one situation before: not from the order in which it came.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec


class Spot(msgspec.Struct):
    """One cell's part in a situation, by one rule, from its first finding until it has been quiet for long enough.

    ``core`` says that it was orange or red since then; ``diffuse`` that something without an exact place stood in it;
    ``quiet_ms`` since when nothing stands; ``situation`` of which one it is part, '' while that is not settled.
    """

    since_ms: int
    core: bool = False
    diffuse: bool = False
    near: tuple[str, ...] = ()
    quiet_ms: int | None = None
    situation: str = ""


class Before(NamedTuple):
    """A situation as it stood: its age and its name order it among others."""

    opened_ms: int
    name: str


class Part(NamedTuple):
    """One situation as it stands: its cells, the name it goes on by (None: it is new), and what it was part of."""

    cells: tuple[str, ...]
    name: str | None
    split_from: str | None


class Settled(NamedTuple):
    """What has become of connected cells: the situations that they are, and which ones became part of which."""

    parts: tuple[Part, ...]
    merged: tuple[tuple[str, Part], ...]


Around = Callable[[str], Iterable[str]]
"""Cell -> what is one step away: cells, or a name that stands for a street, one step away from all its cells."""


def settle(spots: Mapping[str, Spot], touching: Around, around: Around, before: Iterable[Before]) -> Settled:
    """Return the situations that connected cells are.

    ``spots`` are all cells of one component; ``touching`` names those of them that adjoin a cell, ``around`` also what
    rule 2 connects; ``before`` are the situations that the cells were part of.
    """
    cores = _cores(spots, touching)
    groups = [set(spots)] if len(cores) < 2 else [near & spots.keys() for near in _nearest(cores, around)]
    left = set(spots).difference(*groups)
    names = _claims(spots, groups, sorted(before))
    going_on = {name: number for number, name in enumerate(names) if name is not None}
    for cell in left:  # connected by what they were alone
        groups[going_on.get(spots[cell].situation, 0)].add(cell)
    parts = []
    for cells, name in zip(groups, names, strict=True):
        old = sorted(one for one in before if name is None and any(spots[c].situation == one.name for c in cells))
        parts.append(Part(tuple(sorted(cells)), name, old[0].name if old else None))
    merged = []
    for one in sorted(before):
        if one.name not in going_on:
            of = [sum(spots[cell].situation == one.name for cell in part.cells) for part in parts]
            merged.append((one.name, parts[of.index(max(of))]))
    return Settled(tuple(parts), tuple(merged))


def home_of(spots: Mapping[str, Spot], cells: Iterable[str]) -> str:
    """Return where a new situation begins: its first cell at orange or red, else its first."""
    return min(cells, key=lambda cell: (not spots[cell].core, spots[cell].since_ms, cell))


def connected(start: Iterable[str], steps: Callable[[str], Iterable[str]]) -> set[str]:
    """Return all that can be reached from ``start``, itself included."""
    found = set(start)
    todo = list(found)
    while todo:
        for cell in steps(todo.pop()):
            if cell not in found:
                found.add(cell)
                todo.append(cell)
    return found


def _cores(spots: Mapping[str, Spot], touching: Around) -> list[set[str]]:
    """Return the places at orange or red, the oldest first: cells that touch are one."""
    found: list[set[str]] = []
    seen: set[str] = set()
    for cell in sorted(name for name, spot in spots.items() if spot.core):
        if cell not in seen:
            place = connected([cell], lambda name: (c for c in touching(name) if spots[c].core))
            seen |= place
            found.append(place)
    return sorted(found, key=lambda place: min((spots[c].since_ms, c) for c in place))


def _nearest(cores: list[set[str]], around: Around) -> list[set[str]]:
    """Return what is nearest to each core; of equally near ones the oldest takes it."""
    taken = {cell: number for number, core in enumerate(cores) for cell in core}
    edge = sorted(taken)
    while edge:
        reached: dict[str, int] = {}
        for cell in edge:
            for other in around(cell):
                if other not in taken:
                    reached[other] = min(reached.get(other, len(cores)), taken[cell])
        taken |= reached
        edge = sorted(reached)
    groups: list[set[str]] = [set() for _ in cores]
    for cell, number in taken.items():
        groups[number].add(cell)
    return groups


def _claims(spots: Mapping[str, Spot], groups: list[set[str]], before: Iterable[Before]) -> list[str | None]:
    """Return the name that each group goes on by: the oldest situation chooses first."""
    names: list[str | None] = [None] * len(groups)
    for _, name in before:
        best: tuple[int, int, int] | None = None
        for number, cells in enumerate(groups):
            mine = [cell for cell in cells if spots[cell].situation == name]
            if mine and names[number] is None:
                worth = (sum(spots[cell].core for cell in mine), len(mine), -number)
                best = worth if best is None else max(best, worth)
        if best is not None:
            names[-best[2]] = name
    return names
