"""The space-time scan: it finds what is planted, keeps quiet on chance, and says the same again after a restart."""

import msgspec
import numpy as np
import pytest

from gridbeacon.clusters import Clusters
from gridbeacon.config import Config
from gridbeacon.model import ReportCount, Signal
from gridbeacon.reasons import Level
from gridbeacon.scan import LEAST_REPORTS, clusters, likelihood, neighbourhoods, recurrence_days, zones_of

SIDE = 12
CODES = [f"310101{n // 48 + 1:03d}{n // 12 + 1:03d}{n:03d}" for n in range(SIDE * SIDE)]
"""A town of 144 cells, row by row; a row is a community, four rows are a street."""
WINDOW_MS = 900_000
DAY = 96
START_MS = 1_767_225_600_000  # 2026-01-01


def near_of(n: int) -> tuple[str, ...]:
    x, y = n % SIDE, n // SIDE
    around = [(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if (dx, dy) != (0, 0)]
    return tuple(CODES[b * SIDE + a] for a, b in around if 0 <= a < SIDE and 0 <= b < SIDE)


NEAR = {code: near_of(n) for n, code in enumerate(CODES)}
ZONES = neighbourhoods(CODES, NEAR, (9, 12))
BLOCK = [5 * SIDE + 5, 5 * SIDE + 6, 6 * SIDE + 5, 6 * SIDE + 6]


def shares(windows: int) -> np.ndarray:
    weight = np.random.default_rng(5).gamma(2.0, 1.0, len(CODES))
    return np.tile(weight / weight.sum(), (windows, 1))


def test_the_ratio_is_that_of_the_formula() -> None:
    (ratio,) = likelihood(np.array([10.0]), np.array([4.0]), 100.0)
    assert ratio == pytest.approx(10 * np.log(10 / 4) + 90 * np.log(90 / 96))
    assert likelihood(np.array([3.0, LEAST_REPORTS - 1.0, 50.0]), np.array([4.0, 0.1, 50.0]), 100.0).tolist() == [
        0,
        0,
        0,
    ]
    assert likelihood(np.array([10.0]), np.array([4.0]), 10.0)[0] == pytest.approx(10 * np.log(10 / 4))


def test_zones_are_what_they_say() -> None:
    zones = zones_of([[2, 1], [1, 2], [], [0]])
    assert [zones.of(n) for n in range(len(zones))] == [[1, 2]]
    assert zones.sums(np.array([1.0, 10.0, 100.0])).tolist() == [110.0]


def test_a_planted_cluster_is_found_where_and_as_large_as_it_is() -> None:
    """Power: four cells that report three an hour each for an hour, in a town of a hundred reports in three hours."""
    hits, exact = 0, 0
    share = shares(12)
    for seed in range(20):
        dice = np.random.default_rng(seed)
        counts = dice.poisson(share * 9.0)
        counts[:4, BLOCK] += dice.poisson(0.75, (4, 4))
        found = clusters(counts.astype(float), share, ZONES, window_days=1 / DAY, least_days=30.0, seed=seed)
        hits += bool(found) and len({*found[0].cells} & {*BLOCK}) >= 2
        exact += bool(found) and found[0].windows <= 6
    assert hits >= 17
    assert exact >= 14


def test_chance_alone_is_told_as_often_as_the_recurrence_interval_says() -> None:
    """False alarms: in 40 days of chance, some 40 clusters that come once a day, and next to none once in 30 days."""
    share = shares(12)
    dice = np.random.default_rng(1)
    drawn = dice.poisson(np.tile(share[0] * 6.0, (40 * DAY // 12, 12, 1)))
    daily = rare = 0
    for number, counts in enumerate(drawn):
        found = clusters(counts.astype(float), share, ZONES, window_days=12 / DAY, least_days=1.0, seed=number, most=1)
        daily += bool(found)
        rare += bool(found) and found[0].recurs_days >= 30.0
    assert 15 <= daily <= 80
    assert rare <= 5


def test_a_day_on_which_everybody_calls_is_no_cluster() -> None:
    share = shares(12)
    counts = np.random.default_rng(3).poisson(share * 6.0)
    counts[:4] = np.random.default_rng(4).poisson(share[:4] * 60.0)
    assert not clusters(counts.astype(float), share, ZONES, window_days=1 / DAY, least_days=30.0, seed=1)


def test_one_cell_alone_is_left_to_its_own_series() -> None:
    share = shares(12)
    counts = np.zeros((12, len(CODES)))
    counts[0, 7] = 30
    assert not clusters(counts, share, ZONES, window_days=1 / DAY, least_days=1.0, seed=1)


def test_the_same_counts_give_the_same_clusters() -> None:
    share = shares(12)
    counts = np.random.default_rng(8).poisson(share * 6.0).astype(float)
    counts[0, BLOCK] += 3
    one, two = (clusters(counts, share, ZONES, window_days=1 / DAY, least_days=1.0, seed=4) for _ in range(2))
    assert one == two
    assert one
    assert recurrence_days(8.0, 5.0, 0.9, 1.0) > recurrence_days(7.0, 5.0, 0.9, 1.0)


def town(days: int, planted: int | None, *, seed: int = 2) -> list[list[ReportCount]]:
    """Return the counts of each window; for an hour from window ``planted`` on four cells report more."""
    dice = np.random.default_rng(seed)
    share = shares(1)[0]
    windows = []
    for number in range(days * DAY):
        counts = dice.poisson(share * 3.0)
        if planted is not None and planted <= number < planted + 4:
            counts[BLOCK] += 1
        end_ms = START_MS + (number + 1) * WINDOW_MS
        windows.append(
            [
                ReportCount(end_ms=end_ms, cell=CODES[n], category="gas", reports=int(counts[n]), near=NEAR[CODES[n]])
                for n in np.flatnonzero(counts)
            ]
        )
    return windows


def run(windows: list[list[ReportCount]], cut: int = -1, *, backwards: bool = False) -> list[Signal]:
    """Return what is found, window by window; restored after window ``cut``."""
    found, saved, scanner = [], {}, Clusters(Config())
    for number, counts in enumerate(windows):
        now_ms = START_MS + (number + 1) * WINDOW_MS + 60_000
        scanner.count(reversed(counts) if backwards else counts, now_ms)
        while (due_ms := scanner.next_ms()) is not None and due_ms <= now_ms + 60_000:
            found += scanner.scan(due_ms)
        saved.update(scanner.changed())
        if number == cut:
            scanner = Clusters(Config())
            for key, value in sorted(saved.items()):
                scanner.restore(key.decode().partition(":")[2], value)
    return found


def test_reports_that_no_single_cell_would_show_are_told_with_their_cells_and_end() -> None:
    windows = town(8, 7 * DAY + 40)
    found = run(windows)
    begun = [s for s in found if s.level is Level.YELLOW]
    assert len(begun) == 1
    assert begun[0].time_ms <= START_MS + (7 * DAY + 45) * WINDOW_MS
    assert {begun[0].cell, *begun[0].near} & {CODES[n] for n in BLOCK}
    assert "reports of gas from" in begun[0].text
    assert [s.level for s in found] == [Level.YELLOW, Level.NONE]
    assert found == run(windows, 7 * DAY + 42)
    assert found == run(windows, backwards=True)


def test_nothing_is_said_before_the_town_is_known() -> None:
    assert run(town(6, 5 * DAY)) == []


def test_its_state_is_plain_and_small() -> None:
    scanner = Clusters(Config())
    for counts in town(2, None):
        scanner.count(counts, 0)
    ((key, value),) = scanner.changed()
    assert key == b"scan:310101:gas"
    assert value is not None
    assert len(value) < 60_000
    assert msgspec.json.decode(value)[1]["first_ms"] == START_MS + WINDOW_MS
