"""Drift of a cell's residuals: ADWIN sees the change, a day confirms it, and back to usual ends it."""

import numpy as np
import pytest

from detectors.drift import Drifts
from detectors.slots import Slot
from gridbeacon.config import Config
from gridbeacon.model import CellResidual, Signal
from gridbeacon.reasons import Reason

BEGIN_MS, HOUR_MS = 1_700_438_400_000, 3_600_000
DAY = 24


def run(shift: dict[range, float], days: int, *, seed: int = 1, masked: int = 0, tear: bool = False) -> list[Signal]:
    """Return what is found when the residuals of some hours are shifted; half-hourly slots, noise of one spread."""
    random = np.random.default_rng(seed)
    drifts = Drifts(Config())
    saved: dict[bytes, bytes] = {}
    found: list[Signal] = []
    for n in range(days * 48):
        by = next((by for hours, by in shift.items() if n // 2 in hours), 0.0)
        z = by + float(random.normal())
        end_ms = BEGIN_MS + (n + 1) * HOUR_MS // 2
        residual = CellResidual(end_ms=end_ms, cell="C", kind="crowd", series=1, z=z, masked=masked)
        found += drifts.judge(Slot(end_ms, [], [residual]))
        if tear:
            saved.update((key, value or b"") for key, value in drifts.changed())
            drifts = Drifts(Config())
            for key, value in sorted(saved.items(), reverse=True):
                drifts.restore(key.decode(), value)
    return found


def hours_of(found: list[Signal]) -> list[tuple[str, int]]:
    return [(s.level.word, (s.time_ms - BEGIN_MS) // HOUR_MS) for s in found]


def test_a_lasting_shift_is_said_within_three_days_and_ends_once_it_is_learned() -> None:
    begins, ends = 30 * DAY, 37 * DAY
    found = run({range(begins, ends): 1.6}, 50)
    assert [level for level, _ in hours_of(found)] == ["blue", "none"]
    (_, said), (_, over) = hours_of(found)
    assert begins + DAY < said <= begins + 3 * DAY
    assert ends < over <= ends + 3 * DAY
    assert {(s.reason, s.layer, s.series) for s in found} == {(Reason.LEVEL_SHIFT, "quality", "cell/C/crowd")}
    assert "above" in found[0].text


@pytest.mark.parametrize("seed", range(6))
def test_noise_is_no_drift(seed: int) -> None:
    assert run({}, 60, seed=seed) == []


def test_one_wild_day_is_no_drift() -> None:
    assert run({range(30 * DAY, 31 * DAY): 3.0}, 40) == []


def test_what_is_not_to_be_learned_from_is_not_watched() -> None:
    assert run({range(10 * DAY, 20 * DAY): 3.0}, 20, masked=1) == []


def test_saved_and_restored_with_every_slot_it_says_the_same() -> None:
    shift = {range(12 * DAY, 16 * DAY): -1.6}
    assert run(shift, 20, tear=True) == run(shift, 20) != []
