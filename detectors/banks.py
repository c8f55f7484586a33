"""The banks of one partition: which detector judges which class of series, and where each series is kept."""

from typing import Any
from zlib import crc32

import msgspec
import numpy as np

from detectors.bank import Bank
from detectors.detectors import new_bank
from detectors.judge_layout import SAID
from gridbeacon.config import Detect
from gridbeacon.frame import F8, I8, U1
from gridbeacon.vocabulary import METRICS

_STAMP, _FIRST_ROWS = 4, 64


class Banks:
    """The banks that the configuration asks for, and each learned series' place in one of them.

    Series are numbered by ``add`` in order, those that are not learned too. Raises ``ConfigError`` for an unknown
    detector and for parameters that it does not take.
    """

    def __init__(self, detect: Detect) -> None:
        chosen = [(detect.detector, detect.parameters)]
        chosen += [(one.detector, one.parameters) for one in detect.series]
        self._banks: list[Bank] = [new_bank(name, parameters) for name, parameters in chosen]
        self._stamps = [crc32(msgspec.msgpack.encode(one, order="sorted")).to_bytes(_STAMP, "big") for one in chosen]
        classes = {(one.kind, one.metric): number for number, one in enumerate(detect.series, 1)}
        self._bank_of = [classes.get((m.kind, m.name), 0) if m.learned else -1 for m in METRICS]
        self._bank: I8 = np.empty(0, np.int64)
        self._place: I8 = np.empty(0, np.int64)
        self._count = 0

    def add(self, metric: int) -> None:
        """Begin the next series."""
        if self._count == len(self._bank):
            more = np.full(max(_FIRST_ROWS, self._count // 4), -1)
            self._bank, self._place = np.concatenate([self._bank, more]), np.concatenate([self._place, more])
        bank = self._bank[self._count] = self._bank_of[metric]
        self._place[self._count] = self._banks[bank].add() if bank >= 0 else -1
        self._count += 1

    def judge(self, series: I8, x: F8, time_ms: I8, civil_ms: I8, learn: U1) -> Any:
        """Judge and learn observations of learned series in order; return rows of ``SAID`` (see ``Bank.judge``)."""
        if len(self._banks) == 1:
            return self._banks[0].judge(self._place[series], x, time_ms, civil_ms, learn)
        said, banks = np.zeros(len(series), SAID), self._bank[series]
        for bank in np.unique(banks).tolist():
            of = np.flatnonzero(banks == bank)
            said[of] = self._banks[bank].judge(self._place[series[of]], x[of], time_ms[of], civil_ms[of], learn[of])
        return said

    def pack(self, series: I8) -> list[bytes]:
        """Return the state of each series, with a stamp of the detector that it belongs to; empty when it has none."""
        packed, banks = [b""] * len(series), self._bank[series]
        for bank, stamp in enumerate(self._stamps):
            of = np.flatnonzero(banks == bank)
            for at, value in zip(of.tolist(), self._banks[bank].pack(self._place[series[of]]), strict=True):
                packed[at] = stamp + value
        return packed

    def learned(self, series: int) -> bytes:
        """Return the state of one series."""
        return self.pack(np.array([series], np.int64))[0]

    def restore(self, series: int, value: bytes) -> None:
        """Take back the state of one series; that of another detector is left alone: the series begins anew."""
        bank = int(self._bank[series])
        if bank >= 0 and value[:_STAMP] == self._stamps[bank]:
            self._banks[bank].restore(int(self._place[series]), value[_STAMP:])

    def relearn(self, series: int) -> None:
        """Learn anew what is usual for a series (see ``Bank.relearn``)."""
        bank = int(self._bank[series])
        if bank >= 0:
            self._banks[bank].relearn(int(self._place[series]))
