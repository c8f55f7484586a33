"""Forecasts, crossings and audits -> rows of their tables, as columns; see ``sinks/rows.py``."""

from collections.abc import Iterable
from typing import Any

from forecasts.fitted import MODELS
from forecasts.outlook import ForecastRows
from gridbeacon.crossings import Told
from sinks.rows import Columns
from streams.forecast_frames import Audit

_WORDS = [model.value for model in MODELS]
MINUTE_MS = 60_000


def forecasts(made: ForecastRows) -> Columns:
    """Return one row per forecast."""
    series = made.series.tolist()
    parts = [parts_of(name) for name in made.names]
    target = made.target_ms.tolist()
    return {
        "kind": [parts[n][0] for n in series],
        "source": [parts[n][1] for n in series],
        "metric": [parts[n][2] for n in series],
        "grid_id": [made.cells[n] for n in series],
        "made_at": [made.made_ms] * len(series),
        "target_at": target,
        "lead_minutes": [max(0, round((at - made.made_ms) / MINUTE_MS)) for at in target],
        "model": [_WORDS[code] for code in made.model.tolist()],
        "expected": made.point.tolist(),
        "lower_80": made.lower80.tolist(),
        "upper_80": made.upper80.tolist(),
        "lower_95": made.lower95.tolist(),
        "upper_95": made.upper95.tolist(),
        "valid_until": [made.valid_until_ms] * len(series),
    }


def crossings(told: Iterable[Told]) -> Columns:
    """Return one row per version of a crossing."""
    return _columns(_crossing(one) for one in told)


def _crossing(one: Told) -> dict[str, Any]:
    held, seen = one.crossing, one.crossing.foreseen
    kind, source, metric = parts_of(one.name)
    lead_ms, warned_ms = held.lead_ms, held.warning_lead_ms
    return {
        "crossing_id": held.crossing_id,
        "version": held.version,
        "kind": kind,
        "source": source,
        "metric": metric,
        "grid_id": one.cell,
        "level": int(held.level),
        "threshold": held.limit,
        "tier": seen.tier.word,
        "made_at": held.made_ms,
        "warned_at": held.warned_ms,
        "first_expected_at": held.first_expected_ms,
        "expected_at": seen.expected_ms,
        "expected_from": seen.from_ms,
        "expected_until": seen.until_ms,
        "probability": seen.probability,
        "model": held.model,
        "outcome": str(held.outcome),
        "reason": str(held.reason),
        "ended_at": held.ended_ms,
        "lead_secs": None if lead_ms is None else lead_ms / 1000,
        "warning_lead_secs": None if warned_ms is None else warned_ms / 1000,
    }


def audits(found: Iterable[Audit]) -> Columns:
    """Return one row per audited series."""

    def row(one: Audit) -> dict[str, Any]:
        kind, source, metric = parts_of(one.name)
        return {
            "audited_at": one.audited_ms,
            "kind": kind,
            "source": source,
            "metric": metric,
            "slots": one.slots,
            "mean_difference": one.mean_difference,
            "largest_difference": one.largest_difference,
            "objective_difference": one.objective_difference,
        }

    return _columns(row(one) for one in found)


def parts_of(name: str) -> tuple[str, str, str]:
    """Return kind, source and metric of a series' name (sources may hold slashes).

    >>> parts_of("crowd/CAM-1/zone-2/people_count")
    ('crowd', 'CAM-1/zone-2', 'people_count')
    """
    kind, _, rest = name.partition("/")
    source, _, metric = rest.rpartition("/")
    return kind, source, metric


def _columns(rows: Iterable[dict[str, Any]]) -> Columns:
    columns: Columns = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return columns
