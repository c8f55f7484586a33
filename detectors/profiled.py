"""Detectors of one series at a time, behind the default detector's profile: write one with four methods.

The profile (``judge_layout``) says what is expected and how far observations usually are from it; the detector sees
z = (x - expected) / spread, kept within ± 20, and says how unusual that is, on a scale of its own. What is usual on
that scale is learned per series: unit is the streaming 99.5 % quantile of s·(1 + |z| / 20) over the scores s (the
second factor ranks what saturates), and severity = s·(1 + |z| / 20) / unit. A finding begins above 1.3 and is said
again whenever it grows by a fifth; below 1 it ends. Its signal is severity / 2.4, as the default detector's.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from detectors.bank import ANOMALOUS
from detectors.judge_bank import JudgeBank
from detectors.judge_layout import CONSTANTS, JUDGE, STATISTICS, Statistic
from gridbeacon.frame import F8, I8, U1

CLIP = 20.0
"""|z| beyond this is no more unusual."""
UNSTEADY, WARM_UP = 50, 300
"""Observations learned before scores are measured, and before anything is said."""
QUANTILE, FIRST_STEP, STEP, SLOWER = 0.995, 0.3, 0.03, 0.1
_OPEN_FROM, _GROWTH, _FORGET_MIN = (CONSTANTS[name][0] for name in ("open_from", "growth", "forget_min"))
_OWN = np.dtype([("learned", "i8"), ("last_ms", "i8"), ("unit", "f8"), ("height", "f8"), ("open", "i8")])


class Detector(Protocol):
    """One series' detector."""

    def score(self, z: float) -> float:
        """Return how unusual z is, finite and >= 0, more for more. Changes nothing."""

    def learn(self, z: float) -> None:
        """Learn one z."""

    def state(self) -> bytes:
        """Return the state, to the digit."""

    def restore(self, state: bytes) -> None:
        """Take back what ``state`` returned."""


class ProfiledBank:
    """A ``Bank`` of such detectors."""

    def __init__(self, new: Callable[[], Detector]) -> None:
        self._new = new
        self._profile = JudgeBank()
        self._detectors: list[Detector] = []
        self._own = np.zeros(0, _OWN)

    def __len__(self) -> int:
        return len(self._detectors)

    def add(self) -> int:
        """Begin a series; return its number."""
        number = self._profile.add()
        if number == len(self._own):
            self._own = np.concatenate([self._own, np.zeros(max(64, number // 4), _OWN)])
        self._detectors.append(self._new())
        return number

    def judge(self, at: I8, x: F8, time_ms: I8, civil_ms: I8, learn: U1) -> Any:
        """Judge and learn observations in order (see ``Bank``)."""
        said = self._profile.judge(at, x, time_ms, civil_ms, learn)
        z = np.clip((x - said["expected"]) / np.maximum(said["spread"], 1e-12), -CLIP, CLIP)
        columns = zip(at.tolist(), z.tolist(), time_ms.tolist(), learn.tolist(), strict=True)
        for i, (number, one, now_ms, learns) in enumerate(columns):
            own, row = self._own[number], said[i]
            warm = own["learned"] >= WARM_UP and not row["young"]
            row["alarm"] = row["severity"] = row["signal"] = row["statistic"] = 0
            size = self._detectors[number].score(one) * (1.0 + abs(one) / CLIP)
            if warm and own["unit"] > 0.0:
                row["severity"] = size / own["unit"]
                row["alarm"] = row["signal"] = _episode(own, float(row["severity"]), now_ms) / ANOMALOUS
                row["statistic"] = _NUMBER if row["severity"] > 1.0 else 0
                row["direction"] = np.sign(one)
            row["young"] = not warm
            own["last_ms"] = now_ms
            if learns:
                _learn_unit(own, size)
                self._detectors[number].learn(one)
        return said

    def pack(self, numbers: I8) -> Iterator[bytes]:
        """Yield the profile's row, what is usual, and the detector's own state of each series."""
        for number, profile in zip(numbers.tolist(), self._profile.pack(numbers), strict=True):
            yield profile + self._own[number].tobytes() + self._detectors[number].state()

    def restore(self, number: int, value: bytes) -> None:
        """Take back the state of one series."""
        own_at, detector_at = JUDGE.itemsize, JUDGE.itemsize + _OWN.itemsize
        if len(value) < detector_at:
            raise ValueError(f"a state of {len(value)} bytes; one of this detector has at least {detector_at}")
        self._detectors[number].restore(value[detector_at:])
        self._profile.restore(number, value[:own_at])
        self._own[number] = np.frombuffer(value, _OWN, 1, own_at)[0]

    def relearn(self, number: int) -> None:
        """Learn the profile anew; what the detector knows of residuals stays (see ``Bank``)."""
        self._profile.relearn(number)
        self._own[number]["height"] = self._own[number]["open"] = 0


_NUMBER = STATISTICS.index(Statistic.DETECTOR)


def _episode(own: Any, severity: float, now_ms: int) -> float:
    """Return the severity when an episode begins or grows, else 0."""
    grown = severity > own["height"] * _GROWTH
    if not own["open"] and not (severity > _OPEN_FROM and grown):
        own["height"] *= _FORGET_MIN / (_FORGET_MIN + (now_ms - own["last_ms"]) / 60_000.0)
        return 0.0
    if grown:
        own["open"], own["height"] = 1, severity
        return severity
    if severity < 1.0:
        own["open"] = 0
    return 0.0


def _learn_unit(own: Any, size: float) -> None:
    """Move the quantile towards what was seen, quickly at first."""
    own["learned"] += 1
    if own["learned"] <= UNSTEADY:
        return
    if own["unit"] <= 0.0:
        own["unit"] = size
    step = STEP if own["learned"] > WARM_UP else FIRST_STEP
    step *= SLOWER if own["open"] else 1.0  # or one long outage would make everything after it usual
    own["unit"] *= 1.0 + step * ((1.0 if size > own["unit"] else 0.0) - (1.0 - QUANTILE))
