"""A crossing in one sentence, in the city's civil time."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gridbeacon.crossings import Crossing, quantity
from gridbeacon.reasons import Tier


def sentence(series: str, metric: int, held: Crossing, now_ms: int, zone: ZoneInfo) -> str:
    """Return what a duty officer is told of an open crossing. Times of another day than today's say which.

    >>> from gridbeacon.crossings import begin
    >>> from gridbeacon.model import Foreseen
    >>> from gridbeacon.reasons import Level
    >>> times = {"expected_ms": 6_000_000, "from_ms": 4_500_000, "until_ms": 8_400_000}
    >>> seen = Foreseen(tier=Tier.WARNING, probability=0.7, **times)
    >>> held = begin("crowd/CAM-1/density_max_per_m2", Level.ORANGE, 4.0, seen, 0, "prophet_batch")
    >>> sentence("crowd/CAM-1/density_max_per_m2", 8, held, 0, ZoneInfo("UTC"))
    'crowd/CAM-1/density_max_per_m2: will pass 4 people/m² at about 01:40 (80 %: 01:15-02:20)'
    """
    seen = held.foreseen
    today = _civil(now_ms, zone).date()

    def clock(time_ms: int) -> str:
        at = _civil(time_ms, zone)
        return at.strftime("%H:%M" if at.date() == today else "%H:%M on %d %b")

    what = quantity(metric, held.limit)
    until = "later" if seen.until_ms is None else clock(seen.until_ms)
    if seen.tier is Tier.WARNING:
        return f"{series}: will pass {what} at about {clock(seen.expected_ms)} (80 %: {clock(seen.from_ms)}-{until})"
    chance = max(1, round(100 * seen.probability))
    return f"{series}: may pass {what} at about {clock(seen.expected_ms)} ({chance} %: {clock(seen.from_ms)}-{until})"


def _civil(time_ms: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(zone)
