"""The compiled kernel says, to the digit, what its Python text says."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from detectors import kernel
from detectors.layout import NEVER, RESULT, RULES, SERIES, SOURCE, blank_series, blank_source
from detectors.rules import rules_of
from gridbeacon.config import Config, Limits, Quality
from gridbeacon.vocabulary import METRICS, Kind

ROOT = Path(__file__).resolve().parents[2]
BEGIN_MS = 1_672_484_400_000
SOURCES, STEPS = 6, 700
EXP_ULP = 1e-12
"""``exp`` of the two runtimes may differ in the last place; it enters the fast and slow means alone."""
SMOOTHED = ("density_fast", "density_slow", "flow_fast", "flow_slow")


def made(arrival: bool) -> dict[str, npt.NDArray[Any]]:
    """Return results and states after thousands of made rows, in two calls."""
    random = np.random.default_rng(7)
    crowd = [n for n, metric in enumerate(METRICS) if metric.kind is Kind.CROWD]
    sources = np.full(SOURCES, blank_source(), SOURCE)
    sources["interval_ms"] = np.array([10_000, 10_000, 60_000, 300_000, 900_000, 3_600_000])
    sources["quiet_after_ms"] = np.maximum(3 * sources["interval_ms"], 60_000)
    sources["area_m2"][::2], sources["capacity"][::3] = 60.0, 150.0
    series = np.full(SOURCES * len(METRICS), blank_series(), SERIES)
    rules = rules_of(Config(limits=Limits(for_secs=30), quality=Quality(stuck_repeats=8)))
    n = STEPS * len(crowd)
    source = np.repeat(random.integers(0, SOURCES, STEPS), len(crowd))
    metric = np.tile(np.array(crowd, np.uint8), STEPS)
    step = random.choice([0, 1, 1, 1, 1, 1, 1, 2, 5, 40], STEPS)
    at = np.zeros(STEPS, np.int64)
    for one in range(SOURCES):
        mine = np.flatnonzero(source[:: len(crowd)] == one)
        at[mine] = BEGIN_MS + np.cumsum(step[mine] * int(sources["interval_ms"][one]))
    observed_ms = np.repeat(at, len(crowd)) - random.choice([0, 0, 0, 0, 0, 0, 0, 0, 15_000], n)
    wave = 2.5 + 2.5 * np.sin(np.arange(STEPS) / 40)
    base = np.repeat(np.where(random.random(STEPS) < 0.08, 0.0, wave), len(crowd))
    scale = np.array([30, 10, 3, 0.3, 1, 0.2, 20, 1, 1.1])[np.searchsorted(crowd, metric)]
    value = np.round(base * scale * random.choice([1, 1, 1, 1.1, 0.9], n), 1)
    value[random.random(n) < 0.02] *= 50
    still = (source == 2) & (np.arange(n) % (n // 2) > n // 4)
    value[still] = 12 * scale[still]
    share = np.where(random.random(n) < 0.1, 0.3, np.where(random.random(n) < 0.5, 1.0, np.nan)).astype(np.float32)
    surface = (random.random(SOURCES) < 0.4).astype(np.uint8)[source]
    motion = random.choice(np.array([0, 0, 2], np.uint8), n)
    columns = (source * len(METRICS) + metric, source, metric, observed_ms, value, share, share[::-1].copy(), surface)
    results = np.zeros(n, RESULT)
    for part in (slice(0, n // 3), slice(n // 3, n)):
        judge: Any = kernel.judge_rows
        judge(
            series,
            sources,
            *(column[part] for column in columns),
            motion[part],
            int(observed_ms[part].max()) if arrival else NEVER,
            rules,
            results[part],
        )
    return {
        f"{name}.{field}": table[field]
        for name, table in (("results", results), ("series", series), ("sources", sources))
        for field in table.dtype.names or ()
    }


@pytest.mark.parametrize("arrival", [False, True])
def test_compiled_and_plain_kernel_are_equal(arrival: bool, tmp_path: Path) -> None:
    file = tmp_path / "plain.npz"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, str(file), str(int(arrival))]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    compiled, plain = made(arrival), np.load(file)
    assert set(compiled) == set(plain.files)
    for name, column in compiled.items():
        if name.partition(".")[2] in SMOOTHED:
            np.testing.assert_allclose(column, plain[name], rtol=EXP_ULP, err_msg=name)
        else:
            np.testing.assert_array_equal(column, plain[name], err_msg=name)


def test_the_made_rows_reach_what_the_kernel_decides() -> None:
    seen = made(arrival=False)
    for bit in range(6):
        assert (seen["results.flags"] & 1 << bit).any(), f"flag {bit}"
    assert (seen["results.turns"] & kernel.QUIET).any()
    assert set(seen["results.after"][:, 0].tolist()) == {0, 1, 2, 3, 4}
    assert seen["results.after"][:, 1].any()
    assert seen["results.learn"].max() == kernel.LEARN | kernel.JUDGE


def test_every_field_of_the_rules_is_filled() -> None:
    rules = rules_of(Config())[0]
    assert all(np.all(rules[name] > 0) for name in RULES.names or ())


if __name__ == "__main__":
    assert "NUMBA_DISABLE_JIT" in os.environ
    np.savez(sys.argv[1], **made(sys.argv[2] == "1"))  # type: ignore[arg-type]
