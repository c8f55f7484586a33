"""The default detector over whole series, for the benchmarks of detection: no look ahead, one set of constants."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from detectors.judge_bank import JudgeBank
from detectors.judge_layout import CONSTANTS, constants
from detectors.scoring import score
from gridbeacon.frame import F8, I8

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def data(name: str) -> Path:
    """Return a folder of the public data; ends the program where it is absent."""
    folder = DATA / name
    if not folder.is_dir():
        raise SystemExit(f"{name}: no public data in {DATA}; this benchmark needs it")
    return folder


def judged(time_ms: I8, x: F8, chosen: Any = None) -> Any:
    """Return what the detector says of one series (``SAID`` rows); its times count as civil times."""
    return score(time_ms, x, "UTC", JudgeBank(chosen))


def read(path: Path, time: str, value: str) -> tuple[I8, F8]:
    """Return (times in ms, values) of two columns of a CSV file."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return stamps(row[time] for row in rows), np.array([float(row[value]) for row in rows])


def stamps(texts: Any) -> I8:
    """Return times as ms since 1970."""
    seconds = [datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in texts]
    return np.array(seconds).astype(np.int64) * 1000


def perturbed(draws: int) -> Iterator[Any]:
    """Yield the constants, all perturbed at once by ± 20, 30 and 40 % in turn: the lucky centre is no figure."""
    for seed in range(draws):
        most = np.log(1 + (0.2, 0.3, 0.4)[seed % 3])
        factors = np.exp(np.random.default_rng(seed).uniform(-most, most, len(CONSTANTS)))
        yield constants(**{name: value * f for (name, (value, _)), f in zip(CONSTANTS.items(), factors, strict=True)})
