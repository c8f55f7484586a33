"""A gas leak between houses: a report here, two there, none of them much; together they are told, once."""

import numpy as np
import pytest

from gridbeacon.assessor import Assessor
from gridbeacon.config import Config
from gridbeacon.model import ReportCount, SignalBatch, Tick, Transition
from gridbeacon.reasons import Certainty, Reason, SituationKind

SIDE, WINDOW_MS, DAY = 8, 900_000, 96
START_MS = 1_767_225_600_000
CODES = [f"310101001{n // SIDE + 1:03d}{n + 1:03d}" for n in range(SIDE * SIDE)]
LEAK = [27, 28, 35, 36]
BEGINS = 7 * DAY + 40


def near_of(n: int) -> tuple[str, ...]:
    x, y = n % SIDE, n // SIDE
    around = [(x + a, y + b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
    return tuple(CODES[b * SIDE + a] for a, b in around if 0 <= a < SIDE and 0 <= b < SIDE)


def play(clock: str) -> list[Transition]:
    """Return what is told in eight days in which chance reports, and for an hour the leak."""
    assessor, dice, out = Assessor(Config(clock=clock), 0), np.random.default_rng(3), []  # type: ignore[arg-type]
    for window in range(8 * DAY):
        counts = dice.poisson(np.full(len(CODES), 0.03))
        if BEGINS <= window < BEGINS + 4:
            counts[LEAK] += 1
        end_ms = START_MS + (window + 1) * WINDOW_MS
        reports = tuple(
            ReportCount(end_ms=end_ms, cell=CODES[n], category="gas", reports=int(counts[n]), near=near_of(n))
            for n in np.flatnonzero(counts)
        )
        tick = Tick("observations/0", end_ms + 120_000, of=int(clock == "event"))
        batch = SignalBatch(partition=0, offset=window, previous=window - 1, signals=(), tick=tick, counts=reports)
        out += assessor.assess(batch, window)
    return out


@pytest.mark.parametrize("clock", ["event", "arrival"])
def test_reports_that_no_cell_would_show_open_one_alert_and_it_ends(clock: str) -> None:
    told = play(clock)
    assert [one.event.event for one in told] == ["opened", "cleared"]
    opened = told[0].alert
    assert opened is not None
    assert told[0].notice is not None
    assert START_MS + BEGINS * WINDOW_MS < opened.opened_ms <= START_MS + (BEGINS + 5) * WINDOW_MS
    assert (opened.kind, opened.level.word, opened.certainty) == (
        SituationKind.INCIDENT_REPORTS,
        "yellow",
        Certainty.POSSIBLE,
    )
    assert opened.evidence[0].reason is Reason.REPORT_CLUSTER
    assert opened.cell in {CODES[n] for n in LEAK}
    assert "reports of gas from" in opened.headline
