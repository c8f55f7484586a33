"""Assess: the findings that stand in one cell -> the situations they amount to."""

from collections.abc import Iterable

from gridbeacon.model import Evidence, Situation
from gridbeacon.places import is_together, source_of
from gridbeacon.reasons import Certainty, Level, Reason

#: The rules by which findings of a cell become a situation: danger to people, and data that can't be trusted.
SAFETY = "safety"
DATA_HEALTH = "data_health"
RULES = (SAFETY, DATA_HEALTH)


LEARNED = "learned"
"""The layer whose findings wait for the alarm budget."""


def rule_of(evidence: Evidence) -> str:
    """Return the rule that a finding counts for."""
    return DATA_HEALTH if evidence.layer == "quality" else SAFETY


def assess(cell: str, rule: str, findings: Iterable[Evidence]) -> Situation | None:
    """Return what the findings of one cell amount to by one rule, or None when none of them counts.

    The level is that of the worst finding. Learned findings alone are blue from one source and yellow from two or
    more, never higher: what is unusual is not yet dangerous. A crossed limit is Observed; two kinds of evidence, or a
    report that people have verified (orange), are Likely; the rest is Possible.
    """
    everything = tuple(findings)
    standing = sorted(
        (e for e in everything if rule_of(e) == rule), key=lambda e: (-e.level, e.since_ms, e.series, e.reason)
    )
    if not standing:
        return None
    quiet = {e.series for e in everything if e.reason is Reason.GONE_QUIET}
    top = standing[0]
    layers = {e.layer for e in standing}
    level = top.level
    if rule == SAFETY and layers == {LEARNED}:
        sources = {source_of(e.series) for e in standing}
        several = len(sources) > 1 or any(is_together(source) for source in sources)
        level = Level.YELLOW if several else Level.BLUE
    sensed = [e for e in standing if e.layer in ("limit", LEARNED) and not is_together(source_of(e.series))]
    return Situation(
        cell=cell,
        rule=rule,
        level=level,
        reason=top.reason,
        certainty=_certainty(layers, top),
        data_lost=bool(sensed) and all(source_of(e.series) in quiet for e in sensed),
        headline=top.text + (f" (and {len(standing) - 1} more)" if len(standing) > 1 else ""),
        evidence=tuple(standing),
    )


def _certainty(layers: set[str], top: Evidence) -> Certainty:
    if layers & {"limit", "quality"}:
        return Certainty.OBSERVED
    if len(layers) > 1 or (top.layer == "event" and top.level >= Level.ORANGE):
        return Certainty.LIKELY
    return Certainty.POSSIBLE
