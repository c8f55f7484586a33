"""What to change: sentences that follow from the figures of a review, each with the numbers that it stands on."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from gridbeacon.reasons import Disposition, Level

Row = Mapping[str, Any]
#: Minutes within which an alert of a level should be taken: those after which it escalates.
TAKE_MINUTES: dict[Level, float] = {Level.RED: 2.0, Level.ORANGE: 5.0, Level.YELLOW: 15.0}
FEW = 3
"""Fewer cases than this are an anecdote."""
SHORT_WARNING_MINUTES = 5.0
COVER_80 = 0.72
"""A band that should hold four in five and holds less than this promises too much."""
LONG_SILENCE_MINUTES = 120


def lessons(answers: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """Yield what the figures suggest to change, the most pressing first; nothing when they suggest nothing."""
    alerts = answers["alerts"]
    yield from _late(alerts)
    yield from _short(alerts)
    yield from _false(alerts, answers["evidence"])
    for row in answers["deliveries"]:
        if row["delivered"] < row["notices"]:
            yield (
                f"{row['notices'] - row['delivered']} of {row['notices']} notices did not reach {row['endpoint']}: "
                "look at its answers in the table deliveries, and give it a second endpoint to fail over to."
            )
    for row in answers["forecasts"]:
        if row["forecasts"] >= 100 and row["inside_80"] < COVER_80:
            yield (
                f"Forecasts of {row['model']} {row['lead_minutes']} minutes ahead held {row['inside_80']:.0%} in the "
                "band that should hold 80 %: do not read it as a promise before the series have been fitted again."
            )
        if row["forecasts"] >= 100 and row["wrong_by"] > row["standing_still_by"]:
            yield (
                f"Forecasts of {row['model']} {row['lead_minutes']} minutes ahead were worse than saying that nothing "
                f"changes ({row['wrong_by']:.3g} against {row['standing_still_by']:.3g}): do not act on them alone."
            )
    silent = [row for row in answers["outages"] if row["longest_minutes"] >= LONG_SILENCE_MINUTES]
    if silent:
        worst = silent[0]
        yield (
            f"{len(silent)} sensors were silent for two hours or longer, {worst['source']} for "
            f"{worst['silent_minutes']:.0f} minutes in all: a place without data is never all clear; have them seen to."
        )
    for row in answers["refused"]:
        if row["records"] >= FEW:
            said = f"{row['records']} records of {row['topic']} were refused ({row['reason']})"
            yield f"{said}: tell those who send them."


def _late(alerts: Sequence[Row]) -> Iterator[str]:
    for level, minutes in TAKE_MINUTES.items():
        told = [row for row in alerts if row["level"] == level and row["notices"]]
        taken = [row["acknowledged_after_minutes"] for row in told]
        late = [row for row in taken if row is None or row > minutes]
        if late:
            never = sum(one is None for one in taken)
            yield (
                f"{len(late)} of {len(told)} {level.word} alerts were not taken within {minutes:g} minutes"
                + (f", {never} of them never" if never else "")
                + ": see who is called at that hour, and whom it escalates to."
            )


def _short(alerts: Sequence[Row]) -> Iterator[str]:
    leads = [row["raised_after_minutes"] for row in alerts if row["level"] >= Level.ORANGE]
    short = [lead for lead in leads if (lead or 0) < SHORT_WARNING_MINUTES]
    if short:
        yield (
            f"{len(short)} of {len(leads)} alerts that reached orange were told less than {SHORT_WARNING_MINUTES:g} "
            "minutes before their worst: look whether the sensors there report often enough, and what forecasts knew."
        )


def _false(alerts: Sequence[Row], evidence: Sequence[Row]) -> Iterator[str]:
    of = {row["alert_id"]: row for row in evidence}
    judged: dict[str, Counter[str]] = defaultdict(Counter)
    for row in alerts:
        if row["disposition"] and row["alert_id"] in of:
            judged[of[row["alert_id"]]["series"]][row["disposition"]] += 1
    for series, counts in sorted(judged.items()):
        false = counts[Disposition.NOT_ANOMALY]
        if false >= 2 and false * 2 > counts.total():
            yield (
                f"{false} of {counts.total()} judged alerts of {series} were called false: have the sensor looked at "
                "before anybody changes a limit."
            )


def counterfactuals(answers: Mapping[str, Sequence[Row]]) -> list[dict[str, Any]]:
    """Return, for each alert that people called false, what a bar just above it would have done.

    A row has the alert, its series and value; ``spared``: alerts of the same layer and reason, no graver in value,
    which would not have been raised; ``lost``: those among them that people called right; ``unknown``: those nobody
    judged. A bar on a safety limit is shown as well, and never moved: no feedback touches a limit.
    """
    said = {row["alert_id"]: row["disposition"] for row in answers["alerts"]}
    of = {row["alert_id"]: row for row in answers["evidence"]}
    found = []
    for alert, disposition in said.items():
        if disposition != Disposition.NOT_ANOMALY or alert not in of:
            continue
        mine = of[alert]
        like = [
            said.get(other, "")
            for other, row in of.items()
            if (row["layer"], row["reason"]) == (mine["layer"], mine["reason"])
            and row["series"].rpartition("/")[2] == mine["series"].rpartition("/")[2]
            and row["value"] <= mine["value"]
        ]
        right = sum(one in (Disposition.ANOMALY, Disposition.ANOMALY_EXPECTED) for one in like)
        found.append(
            {
                "alert": alert,
                "series": mine["series"],
                "layer": mine["layer"],
                "value": mine["value"],
                "spared": len(like),
                "lost": right,
                "unknown": sum(not one for one in like),
            }
        )
    return found


def middle(values: Sequence[float | None]) -> float | None:
    """Return the median of those that are known, None without any.

    >>> middle([1.0, None, 3.0]), middle([])
    (2.0, None)
    """
    known = [value for value in values if value is not None]
    return median(known) if known else None
