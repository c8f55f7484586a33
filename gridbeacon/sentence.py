"""The sentence that explains a situation: what people reported, what sensors measured, for how long."""

from collections import Counter
from collections.abc import Iterable, Sequence

from gridbeacon.model import Evidence
from gridbeacon.places import is_together, source_of
from gridbeacon.reasons import Level, Reason

PHRASES = 3
"""So many things at most, before the rest is counted: a sentence is read on a telephone."""
_SENSORS = {"crowd": "camera", "traffic": "counter"}
_LAYERS = ("event", "limit", "learned", "quality", "scan", "forecast")
_UNITS = {
    "density_max_per_m2": "people/m²",
    "density_mean_per_m2": "people/m²",
    "people_count": "people",
    "people_count_towards": "people coming",
    "people_count_away": "people leaving",
    "flow_per_m_min": "people per metre and minute",
    "average_crowd_speed_km_h": "km/h",
    "intensity_per_h": "vehicles/h",
    "average_vehicle_speed_km_h": "km/h",
    "report_count": "reports",
}
_OUTFLOW = ("people_count_away", "flow_per_m_min")
_DOUBTS = {
    Reason.GONE_QUIET: "silent",
    Reason.STUCK: "stuck",
    Reason.IMPOSSIBLE_JUMP: "emptier at once than a crowd can be",
    Reason.LOW_COVERAGE: "blocked",
    Reason.LOW_CONFIDENCE: "not sure of its count",
    Reason.LEVEL_SHIFT: "not what it used to be",
}


def sentence(evidence: Sequence[Evidence], cells: int, since_ms: int, at_ms: int) -> str:
    """Return what stands behind a situation, in one sentence; ``evidence`` worst first, at least one.

    >>> from gridbeacon.model import Position
    >>> at = Position("crowd.metrics", 0, 1)
    >>> camera = Evidence(series="crowd/CAM-12/density_max_per_m2", layer="limit", reason=Reason.DENSITY,
    ...                   level=Level.YELLOW, since_ms=0, lineage=at, value=3.2)
    >>> reports = [Evidence(series="events/310101001002003/crowding", layer="event", reason=Reason.URGENT_REPORT,
    ...                     level=Level.YELLOW, since_ms=0, lineage=at, request=str(n)) for n in range(3)]
    >>> sentence([camera, *reports], 1, 0, 240_000)
    '3 reports of crowding and camera CAM-12 at 3.2 people/m², for 4 min'
    """
    said = [*_reports(evidence), *_measured(evidence), *_foreseen(evidence), *_unusual(evidence), *_doubts(evidence)]
    said += [e.text.partition(";")[0] for e in evidence if _is_of_several(e) or e.layer not in _LAYERS]
    shown = said[:PHRASES] if len(said) > PHRASES + 1 else said
    if len(said) > len(shown):
        shown.append(f"{len(said) - len(shown)} more")
    words = " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
    if any(source_of(e.series) and _falls(e) for e in evidence):
        words += ", outflow falling"
    if cells > 1:
        words += f", in {cells} cells"
    ahead = all(e.layer == "forecast" for e in evidence)  # of what will be "for an hour" means something else
    minutes = 0 if ahead else max(at_ms - since_ms, 0) // 60_000
    return words if not minutes else f"{words}, for {_long(minutes)}"


def _is_of_several(e: Evidence) -> bool:
    return e.layer == "learned" and is_together(e.series)


def _long(minutes: int) -> str:
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"


def _falls(e: Evidence) -> bool:
    metric = e.series.rpartition("/")[2]
    return e.reason is Reason.DENSITY_UP_FLOW_DOWN or (e.reason is Reason.BELOW_EXPECTED and metric in _OUTFLOW)


def _reports(evidence: Iterable[Evidence]) -> list[str]:
    """Return what people reported, the worst first."""
    kinds: Counter[str] = Counter()
    verified: Counter[str] = Counter()
    others = []
    for e in evidence:
        if e.layer == "event":
            code = e.series.rpartition("/")[2]
            kinds[code] += 1
            verified[code] += e.level >= Level.ORANGE
        elif e.layer == "scan":
            others.append(e.text.partition(";")[0])
        elif e.layer == "learned" and e.series.startswith("events/"):
            category = source_of(e.series).rpartition("/")[2]
            others.append(f"{e.value or 0:g} reports of {category} where {e.expected or 0:.2g} are usual")
    said = []
    for code, n in kinds.items():
        sure = f" ({verified[code]} verified)" if verified[code] and n > 1 else ""
        one = "a verified report" if verified[code] else "a report"
        said.append((f"{n} reports" if n > 1 else one) + f" of {code}{sure}")
    return [*said, *others]


def _measured(evidence: Iterable[Evidence]) -> list[str]:
    """Return what broke a limit: each sensor once, by its worst."""
    seen: dict[str, Evidence] = {}
    for e in evidence:
        if e.layer == "limit" and e.reason is not Reason.DENSITY_UP_FLOW_DOWN:
            seen.setdefault(source_of(e.series), e)
    said = []
    for source, e in seen.items():
        value = e.value or 0.0
        metric = e.series.rpartition("/")[2]
        what = {
            Reason.CAPACITY: f"at {value:.0%} of its capacity" if metric == "occupancy" else f"at {value:g} people",
            Reason.FLOW: f"at {value:.0f} people per metre and minute",
            Reason.INFLOW_PROJECTION: f"heading for {value:.1f} people/m²",
        }.get(e.reason, f"at {value:.1f} people/m²")
        said.append(f"{_sensor(source)} {what}")
    jams = {source_of(e.series) for e in evidence if e.reason is Reason.DENSITY_UP_FLOW_DOWN}
    return said + [f"{_sensor(source)} coming to a halt" for source in sorted(jams - set(seen))]


def _foreseen(evidence: Iterable[Evidence]) -> list[str]:
    """Return what will pass a limit, the worst first, of sensors that pass none now."""
    limited = {source_of(e.series) for e in evidence if e.layer == "limit"}
    seen: dict[str, Evidence] = {}
    for e in evidence:
        if e.layer == "forecast" and source_of(e.series) not in limited:
            seen.setdefault(source_of(e.series), e)
    return [f"{_sensor(source)} {e.text.partition(': ')[2]}" for source, e in seen.items()]


def _unusual(evidence: Iterable[Evidence]) -> list[str]:
    """Return what is unusual of sensors that break no limit; from three sensors on they are counted."""
    limited = {source_of(e.series) for e in evidence if e.layer == "limit"}
    seen: dict[str, Evidence] = {}
    for e in evidence:
        source = source_of(e.series)
        if e.layer == "learned" and source not in limited and source.partition("/")[0] in _SENSORS:
            seen.setdefault(source, e)
    if len(seen) >= PHRASES:
        kinds = Counter(source.partition("/")[0] for source in seen)
        return [f"{n} {_SENSORS.get(kind, kind)}s far from what is usual" for kind, n in kinds.items()]
    return [
        f"{_sensor(source)} at {e.value or 0:g} {_UNITS.get(e.series.rpartition('/')[2], '')}".rstrip()
        + f" where {e.expected or 0:.3g} is usual"
        for source, e in seen.items()
    ]


def _doubts(evidence: Iterable[Evidence]) -> list[str]:
    """Return which sensors can't be trusted, by what is wrong."""
    found: dict[Reason, dict[str, None]] = {}
    for e in evidence:
        if e.layer == "quality":
            name = e.series if e.series.count("/") < 2 else source_of(e.series)
            found.setdefault(e.reason, {})[name] = None
    said = []
    for reason, sources in found.items():
        who = _sensor(next(iter(sources))) if len(sources) == 1 else f"{len(sources)} sensors"
        said.append(f"{who} {_DOUBTS[reason]}")
    return said


def _sensor(source: str) -> str:
    kind, _, name = source.partition("/")
    return f"{_SENSORS.get(kind, kind)} {name}"
