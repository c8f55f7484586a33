"""The alarm budget: which learned findings are worth an alarm, when a city wants so many a week and no more.

Each finding gets a *false-alarm rate*: how often a quiet city of this size would show one as odd as this, a week.

- alone: r₁·N. r is the rate of its score in its class of series (``tails``), N the number of series.
- with others: what stands at the same time in the cell or next to it, in other sources, makes chance less likely.
  Each of the three rarest multiplies by p = min(1, K·r·D·(1 + ln(R / r))): K series are near, D is how long a finding
  stands, R the rate of all findings; the logarithm is the price of choosing.
- the limit: a finding is told when its rate is at most the budget times e^b. Every alarm lowers b by 0.1, and time
  raises it as much per alarm that was due: in the long run as many are told as the budget says, whatever the scores
  are worth (adaptive conformal inference, Gibbs and Candès 2021). When a week's alarms pass the budget, the limit falls
  at once, to a fiftieth at a quarter above it.

Findings near one another within two hours of an alarm are the same situation and cost nothing more.
"""

import math
from collections.abc import Iterable

import msgspec

from gridbeacon.model import Decision
from gridbeacon.tails import FLOOR, WEEK_MS, Tail, assumed

STANDS_MS = 2 * 3_600_000
"""How long a finding counts as standing for others, and an alarm as the same situation."""
GAIN = 0.1
LOWEST, HIGHEST = -5.0, 1.0
"""Bounds of b."""
PARTNERS = 3
ALONE_FROM = 1.0
"""A finding of a smaller score is never told alone."""


class Candidate(msgspec.Struct, frozen=True):
    """A learned finding that stands: ``rate`` is r, a series and week; ``source`` is ``kind/source``."""

    series: str
    source: str
    score: float
    rate: float
    since_ms: int


def false_alarm_rate(one: Candidate, near: Iterable[Candidate], series: int, nearby: int) -> tuple[float, list[str]]:
    """Return (how often a quiet city of so many series would show this, a week; the series that make it rarer).

    ``near`` are the findings that stand in its cell and next to it; ``nearby`` is how many series are there. Of each
    source only the rarest counts: metrics of one camera are no witnesses for one another.

    >>> lone = Candidate("crowd/A/people_count", "crowd/A", 1.5, 0.002, 0)
    >>> other = Candidate("crowd/B/people_count", "crowd/B", 1.2, 0.01, 0)
    >>> [round(false_alarm_rate(lone, near, 5000, 8)[0], 2) for near in ([], [other])]
    [10.0, 0.06]
    """
    best: dict[str, Candidate] = {}
    for other in near:
        if other.source != one.source and (other.source not in best or other.rate < best[other.source].rate):
            best[other.source] = other
    rate, names = one.rate * series, []
    days = STANDS_MS / WEEK_MS
    for other in sorted(best.values(), key=lambda c: (c.rate, c.series))[:PARTNERS]:
        most = assumed(FLOOR)
        chance = max(nearby, 1) * other.rate * days * (1.0 + max(math.log(most / other.rate), 0.0))
        if chance < 1.0:
            rate *= chance
            names.append(other.series)
    return rate, names


class Pool(msgspec.Struct):
    """The budget of one part of the city: b, when it was last moved, and the alarms of the last week."""

    bias: float = 0.0
    at_ms: int = 0
    alarms_ms: list[int] = msgspec.field(default_factory=list)

    def limit(self, per_week: float, share: float, now_ms: int) -> tuple[float, float]:
        """Return (the rate over the city up to which a finding is told, what is left of the week's alarms here).

        ``per_week`` is the city's budget, ``share`` this part's share of its series, 0..1.
        """
        due = per_week * share
        if self.at_ms and now_ms > self.at_ms:
            self.bias = min(self.bias + GAIN * due * (now_ms - self.at_ms) / WEEK_MS, HIGHEST)
        self.at_ms = max(now_ms, self.at_ms)
        self.alarms_ms = [at for at in self.alarms_ms if at > now_ms - WEEK_MS]
        spent = len(self.alarms_ms) / max(due, 1.0)
        return per_week * math.exp(self.bias) * min(max(4.0 * (1.25 - spent), 0.02), 1.0), due - len(self.alarms_ms)

    def spend(self, now_ms: int) -> None:
        """Count one alarm."""
        self.bias = max(self.bias - GAIN, LOWEST)
        self.alarms_ms.append(now_ms)


def tail_of(tails: dict[str, Tail], name: str, now_ms: int) -> Tail:
    """Return the tail of a class, a new one where there is none."""
    found = tails.get(name)
    if found is None:
        found = tails[name] = Tail(base_ms=now_ms, at_ms=now_ms)
    return found


def in_words(decision: Decision) -> str:
    """Return why a finding was told, for people.

    >>> from gridbeacon.reasons import BudgetReason
    >>> in_words(Decision(reason=BudgetReason.TOLD, rate=0.0612, limit=18.0, left=13.0))
    'chance alone shows as much 0.061 times a week in the whole city, told up to 18; 13 alarms left this week'
    """
    rate = f"{decision.rate:.2g}" if decision.rate >= 0.001 else "less than 0.001"
    return (
        f"chance alone shows as much {rate} times a week in the whole city, told up to {decision.limit:.2g}; "
        f"{max(decision.left, 0):.0f} alarms left this week"
    )
