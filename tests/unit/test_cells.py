"""Forests over the kinds of a cell: their state, what they are taught, and what they may hold."""

import numpy as np
import pytest

from detectors.cells import WARM_SLOTS, Cells
from detectors.forest import WINDOW, Forest
from detectors.slots import Slot
from gridbeacon.config import Config
from gridbeacon.model import CellResidual
from gridbeacon.reasons import State

BEGIN_MS, SLOT_MS = 1_700_438_400_000, 300_000
FEATURES = ("crowd", "traffic")


def vectors(count: int) -> list[dict[str, float]]:
    random = np.random.default_rng(2)
    return [dict(zip(FEATURES, row, strict=True)) for row in random.beta(8, 8, (count, 2)).tolist()]


@pytest.mark.parametrize("learned", [0, 1, WINDOW - 1, WINDOW, 2 * WINDOW + 7])
def test_a_forest_that_is_saved_and_restored_goes_on_to_the_digit(learned: int) -> None:
    whole, other = Forest(FEATURES), Forest(FEATURES)
    for x in vectors(learned):
        whole.learn(x)
    state = whole.state()
    assert len(state) < 100_000
    assert other.restore(state)
    for x in vectors(WINDOW + 50):
        assert whole.score(x) == other.score(x)
        whole.learn(x)
        other.learn(x)
    assert whole.state() == other.state()


def test_a_forest_of_other_trees_is_refused() -> None:
    one = Forest(FEATURES)
    one.learn({"crowd": 0.5, "traffic": 0.5})
    assert not Forest(("crowd", "events")).restore(one.state())


def slot(n: int, z: float = 0.0, masked: int = 0, kinds: tuple[str, ...] = FEATURES, cells: int = 4) -> Slot:
    random = np.random.default_rng(n)
    end_ms = BEGIN_MS + n * SLOT_MS
    residuals = [
        CellResidual(end_ms=end_ms, cell=f"C{cell}", kind=kind, series=2, z=z + random.normal(), masked=masked)
        for cell in range(cells)
        for kind in kinds
    ]
    return Slot(end_ms, [], residuals)


def warm(cells: Cells, **how: int) -> int:
    """Teach until it speaks; return the number of the next slot."""
    n = 0
    while cells.state_of("C0", BEGIN_MS + n * SLOT_MS) is State.WARMING_UP and n < 3 * WINDOW:
        cells.judge(slot(n, **how))  # type: ignore[arg-type]
        n += 1
    return n


def test_it_warms_up_and_says_so() -> None:
    cells = Cells(Config())
    assert WARM_SLOTS < warm(cells) < WARM_SLOTS + WINDOW


def test_what_is_not_to_be_learned_teaches_nothing() -> None:
    cells = Cells(Config())
    assert warm(cells, masked=1) == 3 * WINDOW
    assert cells.state_of("C0", BEGIN_MS + 3 * WINDOW * SLOT_MS) is State.WARMING_UP


def test_a_cell_of_one_kind_has_no_trees() -> None:
    cells = Cells(Config())
    for n in range(WARM_SLOTS + 50):
        cells.judge(slot(n, kinds=("crowd",)))
    assert [key for key, _ in cells.changed() if key.startswith(b"forest:")] == []


def test_a_finding_begins_and_ends_and_its_state_is_small() -> None:
    cells = Cells(Config())
    n = warm(cells)
    found = [s for k in range(n, n + 12) for s in cells.judge(slot(k, z=9.0))[0]]
    assert {s.level.word for s in found} == {"blue"}
    assert all((s.score or 0) > 1 for s in found)
    assert cells.state_of("C0", BEGIN_MS + (n + 11) * SLOT_MS) is State.ANOMALOUS
    ended = [s for k in range(n + 12, n + 40) for s in cells.judge(slot(k))[0] if s.level.word == "none"]
    assert {s.cell for s in ended} == {"C0", "C1", "C2", "C3"}
    sizes = {key: len(value or b"") for key, value in cells.changed()}
    assert sum(key.startswith(b"forest:") for key in sizes) == 1
    assert all(size < 400 for key, size in sizes.items() if key.startswith(b"one:"))


def test_an_episode_ends_when_its_cell_falls_silent() -> None:
    cells = Cells(Config())
    n = warm(cells)
    for k in range(n, n + 12):
        cells.judge(slot(k, z=9.0))
    later = slot(n + 12 + 24, cells=1)  # the others have said nothing for two hours
    assert {s.cell for s in cells.judge(later)[0] if s.level.word == "none"} >= {"C1", "C2", "C3"}
