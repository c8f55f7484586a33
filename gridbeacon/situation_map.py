"""Where situations are: the cells of each, kept as findings come and go; ``merging`` has the rules.

Pure. ``update`` says what stands in a cell; ``settle`` returns what became of the situations that it is about.
"""

from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256
from heapq import heappop, heappush
from typing import NamedTuple

import msgspec

from gridbeacon.merging import Before, Part, Spot, connected, home_of, settle
from gridbeacon.places import area_of

STREET = "…"
"""Behind its code, the name of a street as what connects its cells."""


class Standing(NamedTuple):
    """What stands in one cell by one rule: since when, whether it is orange or red, whether it is diffuse, and the
    cells that adjoin it."""

    since_ms: int
    core: bool
    diffuse: bool
    near: tuple[str, ...] = ()


class Begun(msgspec.Struct, frozen=True):
    """A situation: by which rule, where and when it began, and the one that it split off from."""

    name: str
    rule: str
    cell: str
    opened_ms: int
    split_from: str = ""


class Turn(NamedTuple):
    """What happened to one situation: it began, went on with other cells, became part of ``into``, or is over."""

    name: str
    began: bool = False
    into: str = ""
    over: bool = False


def situation_id_of(rule: str, cell: str, opened_ms: int) -> str:
    """Return a situation's id, a function of where and when it began: a replay makes the same one.

    >>> situation_id_of("safety", "310101001002003", 1_672_484_400_000)
    's-781aa579b34948ef'
    """
    return "s-" + sha256(f"{rule}|{cell}|{opened_ms}".encode()).hexdigest()[:16]


class SituationMap:
    """The cells and situations of one rule. ``lingers_ms`` is how long a cell stays part after its last finding;
    ``levels`` are the lengths of the codes of areas that have findings of their own."""

    def __init__(
        self, rule: str, *, lingers_ms: int, area_digits: int, street_digits: int, levels: tuple[int, ...] = ()
    ) -> None:
        self.rule = rule
        self.spots: dict[str, Spot] = {}
        self.begun: dict[str, Begun] = {}
        self._lingers_ms = lingers_ms
        self._area_digits, self._street_digits = area_digits, street_digits
        self._levels = sorted({street_digits, *levels})
        self._links: dict[str, set[str]] = defaultdict(set)
        self._under: dict[str, dict[str, None]] = defaultdict(dict)  # in the order in which they came
        self._members: dict[str, set[str]] = defaultdict(set)
        self._unsettled: set[str] = set()
        self._alone: set[str] = set()
        self._stirred: set[str] = set()
        self._emptied: set[str] = set()
        self._expiring: list[tuple[int, str]] = []

    def update(self, cell: str, standing: Standing | None, at_ms: int) -> bool:
        """Say what stands in a cell now, None for nothing; return whether its spot is another than before."""
        spot = self.spots.get(cell)
        if standing is None:
            if spot is None or spot.quiet_ms is not None:
                return False
            spot.quiet_ms = at_ms
            heappush(self._expiring, (at_ms + self._lingers_ms, cell))
            return True
        if spot is None:
            spot = self.spots[cell] = Spot(standing.since_ms)
            fresh = True
        else:
            fresh = (
                (standing.core and not spot.core)
                or (standing.diffuse and not spot.diffuse)
                or not set(standing.near) <= set(spot.near)
            )
            if not fresh and spot.quiet_ms is None:
                return False
        spot.quiet_ms = None
        if fresh:
            spot.core |= standing.core
            spot.diffuse |= standing.diffuse
            spot.near = tuple(sorted({*spot.near, *standing.near}))
            self._index(cell, spot)
            self._unsettled.add(cell)
        return True

    def restore(self, cell: str, spot: Spot) -> None:
        """Take back a cell's spot, as it was kept."""
        self.spots[cell] = spot
        self._index(cell, spot)
        self._members[spot.situation].add(cell)
        if spot.quiet_ms is not None:
            heappush(self._expiring, (spot.quiet_ms + self._lingers_ms, cell))

    def next_ms(self) -> int | None:
        """Return when the next cell has been quiet for long enough, or None."""
        while self._expiring:
            due_ms, cell = self._expiring[0]
            spot = self.spots.get(cell)
            if spot is not None and spot.quiet_ms is not None and spot.quiet_ms + self._lingers_ms == due_ms:
                return due_ms
            heappop(self._expiring)  # it has come back since
        return None

    def expire(self, at_ms: int) -> list[tuple[str, str]]:
        """Let go of the cells that have been quiet for long enough by now; return each with its situation."""
        gone: list[tuple[str, str]] = []
        while (due_ms := self.next_ms()) is not None and due_ms <= at_ms:
            _, cell = heappop(self._expiring)
            spot = self.spots.pop(cell)
            for other in spot.near:
                self._links[other].discard(cell)
            for place in self._places(cell):
                self._under[place].pop(cell, None)
            members = self._members[spot.situation]
            members.discard(cell)
            self._unsettled.discard(cell)
            if spot.situation in self._alone and not spot.core:
                self._stirred.add(spot.situation)  # what was one stays one (rule 3)
            else:
                self._unsettled |= members
            if not members:
                self._emptied.add(spot.situation)
            gone.append((cell, spot.situation))
        return gone

    def settle(self, at_ms: int) -> tuple[list[Turn], list[tuple[str, str]]]:
        """Return what happened to situations since the last call, those that go on first, and the cells whose spots
        changed with it, each with the situation that it was part of."""
        turns: list[Turn] = []
        moved: list[tuple[str, str]] = []
        joins = self._joining()
        seen: set[str] = set()
        # Those that join come last: the rest may change what they would join.
        for start in sorted(joins, key=lambda cell: (joins[cell] is not None, cell)):
            if start in seen:
                continue
            name = joins[start]
            if name in self._alone:
                self._assign(start, name, moved)
                self._stirred.add(name)
                continue
            cells = connected([start], self._all_around) & self.spots.keys()
            seen |= cells
            turns += self._settle(cells, at_ms, moved)
        self._unsettled.clear()
        for name in sorted(self._emptied):
            if not self._members.pop(name, None):
                self._alone.discard(name)
                turns.append(Turn(name, over=True))
        self._emptied.clear()
        going_on = self._stirred - {turn.name for turn in turns}
        self._stirred.clear()
        return [*map(Turn, sorted(going_on)), *turns], moved

    def cells_of(self, name: str) -> set[str]:
        """Return the cells of a situation."""
        return self._members.get(name, set())

    def touching(self, cell: str) -> Iterator[str]:
        """Yield the cells with findings that adjoin one, within its area."""
        area = area_of(cell, self._area_digits)
        near = self.spots[cell].near if cell in self.spots else ()
        for other in {*near, *self._links.get(cell, ())}:
            if other in self.spots and other != cell and area_of(other, self._area_digits) == area:
                yield other

    def around(self, cell: str) -> Iterator[str]:
        """Yield what is connected with a cell, or with a street: rules 1 and 2."""
        if cell in self.spots:
            yield from self._next_to(cell)
            if self.spots[cell].diffuse:
                yield from self._under.get(cell, ())
        elif cell.endswith(STREET):
            yield from self._under.get(cell.removesuffix(STREET), ())

    def _all_around(self, cell: str) -> Iterator[str]:
        """Yield what is connected with a cell, a street or a situation."""
        yield from self.around(cell)
        yield from self._members.get(cell, ())
        if cell in self.spots and self.spots[cell].situation:
            yield self.spots[cell].situation

    def _joining(self) -> dict[str, str | None]:
        """Return the unsettled cells, each with the situation that it joins and changes nothing else with, or None."""
        near = {cell: set(self._next_to(cell)) for cell in self._unsettled}
        joins = {cell: self._joins(cell, near[cell]) for cell in near}
        named: dict[str, set[str]] = defaultdict(set)
        for cell, name in joins.items():
            if name is not None:
                for other in near[cell]:
                    named[other].add(name)
        # Cells that come together may connect what each of them would join.
        return {cell: None if any(len(named[o]) > 1 for o in near[cell]) else name for cell, name in joins.items()}

    def _joins(self, cell: str, near: set[str]) -> str | None:
        """Return the situation that a cell joins as far as the settled ones go, None when more may change.

        A situation that nothing else is connected with holds one place at orange or red at most, and goes on as it is
        unless another such place comes to it.
        """
        under = self._under.get(cell, {})
        if len(under) > (cell in under):
            return None
        # All settled cells of a street in which something diffuse stands are part of one: the first stands for them.
        others = (next(self.around(name)) if name.endswith(STREET) else name for name in near)
        names = {self.spots[other].situation for other in others} - {""}
        if len(names) != 1:
            return None
        if self.spots[cell].core and not any(self.spots[o].core for o in {*self.touching(cell)} - self._unsettled):
            return None
        return names.pop()

    def _next_to(self, cell: str) -> Iterator[str]:
        """Yield a cell, and what is connected with it but for the cells that lie in it."""
        yield cell
        yield from self.touching(cell)
        if self.spots[cell].diffuse:
            yield f"{cell[: self._street_digits]}{STREET}"
            yield from (place for place in self._places(cell) if place in self.spots)

    def _assign(self, cell: str, name: str, moved: list[tuple[str, str]]) -> None:
        spot = self.spots[cell]
        if spot.situation != name:
            if spot.situation:
                self._members[spot.situation].discard(cell)
            moved.append((cell, spot.situation))
            spot.situation = name
            self._members[name].add(cell)

    def _settle(self, cells: set[str], at_ms: int, moved: list[tuple[str, str]]) -> Iterator[Turn]:
        spots = {cell: self.spots[cell] for cell in cells}
        names = {spot.situation for spot in spots.values() if spot.situation}
        before = [Before(self.begun[name].opened_ms, name) for name in names]
        settled = settle(spots, self.touching, self.around, before)
        called: dict[Part, str] = {}
        for part in settled.parts:
            name = part.name
            if name is None:
                home = home_of(spots, part.cells)
                name = situation_id_of(self.rule, home, at_ms)
                self.begun[name] = Begun(name, self.rule, home, at_ms, part.split_from or "")
                yield Turn(name, began=True)
            else:
                self._stirred.add(name)
            called[part] = name
            for cell in part.cells:
                self._assign(cell, name, moved)
        self._alone -= names
        if len(settled.parts) == 1:
            self._alone |= set(called.values())
        for name, part in settled.merged:
            self._members.pop(name, None)
            self._emptied.discard(name)
            yield Turn(name, into=called[part])

    def _index(self, cell: str, spot: Spot) -> None:
        for other in spot.near:
            self._links[other].add(cell)
        if spot.diffuse:
            for place in self._places(cell):
                self._under[place][cell] = None

    def _places(self, cell: str) -> Iterator[str]:
        """Yield the street and the areas that a cell, or a smaller area, lies in."""
        return (cell[:digits] for digits in self._levels if digits <= len(cell))
