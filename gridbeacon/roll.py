"""What stands in the cells of one situation, the worst first, kept in order while findings come and go.

A network that fails makes ten thousand sensors one situation: what one more finding costs must not grow with it.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable

from gridbeacon.model import Evidence

SAFETY = "safety"
DATA_HEALTH = "data_health"
RULES = (SAFETY, DATA_HEALTH)
"""The rules by which findings become a situation: danger to people, and data that can't be trusted."""
QUALITY = "quality"
"""The layer of doubts about data."""


def rule_of(evidence: Evidence) -> str:
    """Return the rule that a finding counts for."""
    return DATA_HEALTH if evidence.layer == QUALITY else SAFETY


class Roll:
    """``standing`` are the findings of one rule, the worst first; ``doubts`` what else stands in the cells about data:
    how far their sensors can be trusted."""

    def __init__(self, rule: str, findings: Iterable[tuple[str, Iterable[Evidence]]] = ()) -> None:
        self.rule = rule
        self.standing: list[Evidence] = []
        self.doubts: list[Evidence] = []
        self._layers: Counter[str] = Counter()
        self._of: dict[str, tuple[Evidence, ...]] = {}
        for cell, of in findings:
            self.put(cell, of)

    @property
    def layers(self) -> set[str]:
        """The layers that what stands comes from."""
        return {layer for layer, count in self._layers.items() if count}

    def put(self, cell: str, findings: Iterable[Evidence]) -> None:
        """Say what stands in a cell now, in place of what was said before."""
        before, now = self._of.get(cell, ()), tuple(findings)
        kept = {id(e) for e in before} & {id(e) for e in now}
        for e in before:
            if id(e) not in kept:
                self._remove(e)
        for e in now:
            if id(e) not in kept:
                self._add(e)
        self._of[cell] = now

    def drop(self, cell: str) -> None:
        """Let go of a cell that is no longer part."""
        for e in self._of.pop(cell, ()):
            self._remove(e)

    def _add(self, e: Evidence) -> None:
        if rule_of(e) == self.rule:
            insort(self.standing, e, key=_rank)
            self._layers[e.layer] += 1
        elif e.layer == QUALITY:
            self.doubts.append(e)

    def _remove(self, e: Evidence) -> None:
        if rule_of(e) == self.rule:
            at = bisect_left(self.standing, _rank(e), key=_rank)
            while self.standing[at] is not e:
                at += 1
            del self.standing[at]
            self._layers[e.layer] -= 1
        elif e.layer == QUALITY:
            self.doubts.remove(e)


def _rank(e: Evidence) -> tuple[int, int, str, str, str, str, str]:
    return -e.level, e.since_ms, e.series, e.reason, e.request, e.cell, e.layer
