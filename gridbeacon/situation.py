"""Assess: the findings that stand together in a cell and its neighbours -> the situation that they amount to."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from gridbeacon.model import Evidence, Situation
from gridbeacon.places import is_together, kind_of, source_of
from gridbeacon.reasons import Certainty, Level, Reason, SituationKind, Tier
from gridbeacon.roll import QUALITY, SAFETY, Roll
from gridbeacon.sentence import sentence

LEARNED = "learned"
"""The layer whose findings wait for the alarm budget."""
FORECAST = "forecast"
"""The layer of limits that will be passed."""
_WHOLE = (Reason.LOW_COVERAGE, Reason.LOW_CONFIDENCE)
"""Doubts about a sensor as a whole, whose series is the sensor's own name."""
EVIDENCE_KEPT = 60
"""So many findings travel with a situation, the worst; a message of a storm over a city stays below 50 KB."""
_MEASURED, _REPORTED, _SENSED = "measured", "reported", "sensed"
_URGENT = "urgent"


class Place(NamedTuple):
    """Of a situation: its name, the cell where it began and when, all its cells, and what it follows.

    ``recurs`` says that an alert cleared here not long ago: then it is told from yellow on.
    """

    name: str
    cell: str
    opened_ms: int
    cells: tuple[str, ...]
    follows: str = ""
    recurs: bool = False
    split_off: bool = False


class Weighed(NamedTuple):
    """What the findings of a situation amount to; ``standing`` are those that count, the worst first."""

    standing: list[Evidence]
    level: Level
    reason: Reason
    kind: SituationKind
    certainty: Certainty
    data_lost: bool

    @property
    def centre(self) -> str:
        """The cell where it is worst."""
        return self.standing[0].cell


def is_core(evidence: Evidence) -> bool:
    """Return whether a finding makes its cell a place at orange or red."""
    return evidence.level >= Level.ORANGE and evidence.layer in ("limit", "event")


def is_diffuse(evidence: Evidence) -> bool:
    """Return whether a finding has no exact place: it is only unusual, a count of reports, or about data."""
    return evidence.layer in (LEARNED, QUALITY, "scan")


def assess(
    place: Place,
    rule: str,
    findings: Iterable[Evidence],
    at_ms: int,
    near: Callable[[str], Iterable[str]] = lambda _: (),
) -> Situation | None:
    """Return what the findings of a situation's cells amount to by one rule at a time, None when none of them counts.

    The level is that of the worst finding, and never below it:

    - what is only unusual, or reported more often than usual, is blue from one source, yellow from several;
    - two kinds of witness raise it by one (``corroborated``): a broken limit and people's reports in the same cell or
      one next to it (``near`` names those); to red only when one of the reports is urgent. Sensors that are unusual
      beside a limit or a report raise blue to yellow, no further;
    - what is foreseen counts for itself alone: it raises nothing, and nothing raises it;
    - a situation that ``recurs`` is yellow at least.

    A crossed limit is Observed, unless the data of every sensor that says so are in doubt; two kinds of evidence, a
    report that people have verified (orange), or a point forecast that passes a limit are Likely; the rest is Possible.
    """
    of: dict[str, list[Evidence]] = {}
    for e in findings:
        of.setdefault(e.cell, []).append(e)
    weighed = weigh(place, Roll(rule, of.items()), near)
    return None if weighed is None else describe(place, rule, weighed, at_ms)


def weigh(place: Place, roll: Roll, near: Callable[[str], Iterable[str]] = lambda _: ()) -> Weighed | None:
    """Return what ``assess`` decides, without what it says: most findings are no news, and then nothing is said."""
    standing, layers = roll.standing, roll.layers
    if not standing:
        return None
    quiet: set[str] = set()
    doubted: set[str] = set()
    for e in roll.doubts:
        if e.reason is Reason.GONE_QUIET:
            quiet.add(e.series)
        else:
            doubted.add(e.series if e.reason in _WHOLE else source_of(e.series))
    top = standing[0]
    level, reason = top.level, top.reason
    if roll.rule == SAFETY:
        now = standing if FORECAST not in layers else [e for e in standing if e.layer != FORECAST]
        level = max(_corroborated(now, near) if now else Level.NONE, level if top.layer == FORECAST else Level.NONE)
        if level > top.level:
            reason = Reason.CORROBORATED if layers - {LEARNED, "scan", FORECAST} else top.reason
        if place.recurs and level < Level.YELLOW:
            level, reason = Level.YELLOW, Reason.RECURRED
    if place.split_off and reason is top.reason:
        reason = Reason.SPLIT_OFF
    lost = False
    if quiet:
        sensed = [e for e in standing if e.layer in ("limit", LEARNED) and not _of_people_or_several(e)]
        lost = bool(sensed) and all(source_of(e.series) in quiet for e in sensed)
    return Weighed(
        standing=standing,
        level=level,
        reason=reason,
        kind=_kind(standing, layers),
        certainty=_certainty(standing, layers, doubted),
        data_lost=lost,
    )


def describe(place: Place, rule: str, weighed: Weighed, at_ms: int) -> Situation:
    """Return a situation in full: with its sentence and the worst of its evidence."""
    standing = weighed.standing
    return Situation(
        situation_id=place.name,
        cell=place.cell,
        rule=rule,
        kind=weighed.kind,
        level=weighed.level,
        reason=weighed.reason,
        certainty=weighed.certainty,
        data_lost=weighed.data_lost,
        headline=sentence(standing, len(place.cells), min(e.since_ms for e in standing), at_ms),
        evidence=tuple(standing[:EVIDENCE_KEPT]),
        centre=weighed.centre or place.cell,
        cells=place.cells,
        findings=len(standing),
        opened_ms=place.opened_ms,
        follows=place.follows,
    )


def _of_people_or_several(e: Evidence) -> bool:
    """Return whether a finding is of no single sensor that could go quiet."""
    return e.series.startswith("events/") or is_together(e.series)


def _witness(e: Evidence) -> str:
    """Return what kind of witness a finding is."""
    if e.layer == "limit":
        return _MEASURED
    if e.layer in ("event", "scan") or kind_of(e.series) == "events":
        return _REPORTED
    return _SENSED if e.layer == LEARNED else e.layer


def _corroborated(standing: list[Evidence], near: Callable[[str], Iterable[str]]) -> Level:
    """Return the level that the witnesses amount to together, ``standing`` worst first."""
    top = standing[0]
    if all(e.layer == "limit" for e in standing):  # one kind of witness
        return top.level
    hard = [e for e in standing if e.layer not in (LEARNED, "scan")]
    if not hard:  # what is unusual is not yet dangerous
        sources = {source_of(e.series) for e in standing}
        # An area, and a cell's kinds together, are several sources by themselves.
        several = len(sources) > 1 or any(is_together(source) for source in sources)
        return Level.YELLOW if several else min(top.level, Level.YELLOW)
    by_cell: dict[str, dict[str, set[str]]] = {}
    for e in standing:
        by_cell.setdefault(e.cell, {}).setdefault(_witness(e), set()).add(source_of(e.series))
        if e.layer == "event":
            by_cell[e.cell].setdefault(_URGENT, set())
    best = top.level
    seen: set[tuple[str, str, str]] = set()
    for e in hard:
        mine, source = _witness(e), source_of(e.series)
        if e.level < best:
            break
        if (e.cell, mine, source) in seen:
            continue
        seen.add((e.cell, mine, source))
        around = [by_cell[cell] for cell in {e.cell, *near(e.cell)} if cell in by_cell]
        others = {witness for one in around for witness in one if witness != mine}
        if e.level is not Level.RED and {_MEASURED, _REPORTED} <= {mine, *others}:
            urgent = e.layer == "event" or _URGENT in others
            best = max(best, min(Level(e.level + 1), Level.RED if urgent else Level.ORANGE))
        elif e.level is Level.BLUE and any(
            sources - {source} for one in around for witness, sources in one.items() if witness != mine
        ):
            best = max(best, Level.YELLOW)
    return best


def _kind(standing: list[Evidence], layers: set[str]) -> SituationKind:
    """Return what the worst findings are about."""
    top = standing[0]
    if top.layer == QUALITY:
        lost = top.reason is Reason.GONE_QUIET
        return SituationKind.DATA_LOSS if lost else SituationKind.DATA_DOUBT
    if top.layer == FORECAST:
        return SituationKind.FORECAST
    if _witness(top) == _REPORTED:
        # People report what they see; when sensors see it too, it is named after what they see.
        top = next((e for e in standing if e.layer == "limit"), top)
    if _witness(top) == _REPORTED:
        return SituationKind.INCIDENT_REPORTS
    if kind_of(top.series) == "traffic":
        return SituationKind.TRAFFIC_SHOCK
    both = LEARNED in layers and _both_ways(standing)
    return SituationKind.COUNTERFLOW if both else SituationKind.CROWDING


def _both_ways(standing: list[Evidence]) -> bool:
    """Return whether at one source more people than usual come and go at once."""
    above = {e.series for e in standing if e.reason is Reason.ABOVE_EXPECTED}
    return any(f"{source_of(s)}/people_count_away" in above for s in above if s.endswith("/people_count_towards"))


def _certainty(standing: list[Evidence], layers: set[str], doubted: set[str]) -> Certainty:
    top = standing[0]
    if QUALITY in layers or ("limit" in layers and not doubted):
        return Certainty.OBSERVED
    if any(e.layer == "limit" and source_of(e.series) not in doubted for e in standing):
        return Certainty.OBSERVED
    if len(layers) > 1 or (top.layer == "event" and top.level >= Level.ORANGE):
        return Certainty.LIKELY
    if top.foreseen is not None and top.foreseen.tier is Tier.WARNING:
        return Certainty.LIKELY
    return Certainty.POSSIBLE
