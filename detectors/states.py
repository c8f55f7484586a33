"""The states of one partition: a row per series and per source, found by name, saved when changed."""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from detectors.banks import Banks
from detectors.layout import NEVER, SERIES, SOURCE, VERSION, blank_series, blank_source
from gridbeacon.config import Detect, Quality
from gridbeacon.errors import Fatal
from gridbeacon.frame import I4, I8
from gridbeacon.model import Sensor
from gridbeacon.vocabulary import METRICS, Kind

_FIRST_ROWS = 64
_NO_QUIET_MS = 1 << 60


class States:
    """Rows of ``layout.SERIES`` and ``layout.SOURCE`` with what belongs to them, by number.

    ``cells`` and ``sensors`` are of sources; ``series_at[source, metric]`` is the number of a series, ``keys`` their
    names in the saved state; ``banks`` hold what the learned layer knows of each. ``moves`` counts how often a source
    went to another cell.
    """

    def __init__(self, detect: Detect, quality: Quality) -> None:
        self.banks = Banks(detect)
        self._quality = quality
        self.series = np.empty(0, SERIES)
        self.sources = np.empty(0, SOURCE)
        self.series_at: I4 = np.empty((0, len(METRICS)), np.int32)
        self.sensors: list[Sensor] = []
        self.cells: list[str] = []
        self.moves = 0
        self.series_keys: list[tuple[int, int]] = []
        self._born: list[int] = []
        # Numbers by name; a sensor may be called like a cell/category, so counts of reports are apart.
        self._sensors_at: dict[str, int] = {}
        self._counts_at: dict[str, int] = {}
        self._source_keys: list[bytes] = []
        self._definitions: list[bytes] = []
        self.keys: list[bytes] = []
        self._changed_series = np.empty(0, bool)
        self._changed_sources = np.empty(0, bool)

    def __len__(self) -> int:
        return len(self.series_keys)

    def define(self, sensor: Sensor) -> int:
        """Take the definition of a source, new or again; return its number."""
        known = self._counts_at if sensor.kind is Kind.EVENTS else self._sensors_at
        number = known.get(sensor.sensor_id)
        if number is not None and self.sensors[number] == sensor:
            return number
        if number is None:
            number = known[sensor.sensor_id] = len(self.sensors)
            self.sensors.append(sensor)
            self.cells.append(sensor.grid_id)
            self._source_keys.append(b"s:" + sensor.kind.encode() + b":" + sensor.sensor_id.encode())
            self._definitions.append(b"")
            self._grow_sources()
            self.sources[number] = blank_source()
        self.moves += self.cells[number] != sensor.grid_id
        self.sensors[number], self.cells[number] = sensor, sensor.grid_id
        self._definitions[number] = bytes([VERSION]) + msgspec.msgpack.encode(sensor)
        self._apply(number)
        self._changed_sources[number] = True
        return number

    def _apply(self, number: int) -> None:
        """Take over what the registry and the configuration say of a source."""
        row, sensor = self.sources[number], self.sensors[number]
        quality = self._quality
        row["interval_ms"] = round(sensor.interval_secs * 1000)
        quiet_secs = max(quality.quiet_intervals * sensor.interval_secs, quality.quiet_min_secs)
        row["quiet_after_ms"] = _NO_QUIET_MS if sensor.kind is Kind.EVENTS else round(quiet_secs * 1000)
        row["area_m2"] = np.nan if sensor.area_m2 is None else sensor.area_m2
        row["capacity"] = np.nan if sensor.capacity is None else sensor.capacity

    def numbers_of(self, names: tuple[str, ...], *, events: bool = False) -> I8:
        """Return the number of each source. Raises ``Fatal`` when one was never defined."""
        try:
            known = self._counts_at if events else self._sensors_at
            return np.array([known[name] for name in names], np.int64)
        except KeyError as error:
            raise Fatal(f"source {error.args[0]!r} was never defined on the observations log") from error

    def series_of(self, source: I8, metric: Any) -> I8:
        """Return the number of the series of each (source, metric); new ones begin blank."""
        found = self.series_at[source, metric]
        for at in np.flatnonzero(found < 0).tolist():
            found[at] = self._series(int(source[at]), int(metric[at]))
        return np.asarray(found, np.int64)

    def known(self, name: str, metric: int, *, events: bool) -> int | None:
        """Return the number of the series of a source's metric, None when there is none."""
        source = (self._counts_at if events else self._sensors_at).get(name)
        number = -1 if source is None else int(self.series_at[source, metric])
        return None if number < 0 else number

    def relearn(self, number: int) -> None:
        """Learn anew what is usual for a series."""
        self.banks.relearn(number)
        self._changed_series[number] = True

    def touch(self, series: I8, source: I8) -> None:
        """Remember that these rows have changed."""
        self._changed_series[series] = True
        self._changed_sources[source] = True

    def touch_sources(self, source: Any) -> None:
        """Remember that these sources have changed."""
        self._changed_sources[source] = True

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of every row that changed since the last call."""
        sources = np.flatnonzero(self._changed_sources[: len(self.sensors)])
        series = np.flatnonzero(self._changed_series[: len(self)])
        self._changed_series[:] = False
        self._changed_sources[:] = False
        return [
            *zip((self._source_keys[n] for n in sources.tolist()), self._packed_sources(sources), strict=True),
            *zip((self.keys[n] for n in series.tolist()), self._packed_series(series), strict=True),
        ]

    def _packed_sources(self, numbers: I8) -> Iterator[bytes]:
        packed, size = self.sources[numbers].tobytes(), SOURCE.itemsize
        for at, number in enumerate(numbers.tolist()):
            yield self._definitions[number] + packed[at * size : (at + 1) * size]

    def _packed_series(self, numbers: I8) -> Iterator[bytes]:
        packed, size, version = self.series[numbers].tobytes(), SERIES.itemsize, bytes([VERSION])
        for at, learned in enumerate(self.banks.pack(numbers)):
            yield version + packed[at * size : (at + 1) * size] + learned

    def restore_source(self, value: bytes) -> None:
        """Take back a source of ``changed``."""
        _check(value[0])
        number = self.define(msgspec.msgpack.decode(value[1 : -SOURCE.itemsize], type=Sensor))
        self.sources[number] = np.frombuffer(value, SOURCE, 1, len(value) - SOURCE.itemsize)[0]
        self._apply(number)  # the configuration may have changed since
        self._changed_sources[number] = False

    def restore_series(self, key: bytes, value: bytes) -> None:
        """Take back a series of ``changed``; its source must be here already."""
        _check(value[0])
        _, metric, name = key.split(b":", 2)
        events = METRICS[int(metric)].kind is Kind.EVENTS
        source = (self._counts_at if events else self._sensors_at).get(name.decode())
        if source is None:
            raise Fatal(f"the state of series {key!r} was saved without its source")
        number = self._series(source, int(metric))
        self.series[number] = np.frombuffer(value, SERIES, 1, 1)[0]
        if self.series[number]["announced"]:
            self._born.remove(number)
        self.banks.restore(number, value[1 + SERIES.itemsize :])

    def announced(self) -> list[int]:
        """Return the series that are new since the last call, and in no state that was saved after one."""
        born, self._born = self._born, []
        self.series["announced"][born] = 1
        self._changed_series[born] = True
        return born

    def adopt(self, other: "States") -> int:
        """Take over what ``other`` has learned of series over a longer history; return how many series that were.

        What is in force here stays. What has been heard there counts as heard: it is late here.
        """
        adopted = 0
        for theirs, (source, metric) in enumerate(other.series_keys):
            sensor = other.sensors[source]
            events = sensor.kind is Kind.EVENTS
            known = self._counts_at if events else self._sensors_at
            at_source = known.get(sensor.sensor_id)
            number = self._series(self.define(sensor) if at_source is None else at_source, metric)
            mine, past = self.series[number], other.series[theirs]
            if mine["count"] >= past["count"]:
                continue
            adopted += 1
            self.banks.restore(number, other.banks.learned(theirs))
            first_ms = [int(row["first_ms"]) for row in (mine, past) if row["first_ms"] != NEVER]
            mine["first_ms"], mine["last_ms"] = min(first_ms), max(mine["last_ms"], past["last_ms"])
            mine["count"] += past["count"]
            self._changed_series[number] = True
        return adopted

    def silent(self, now_ms: int) -> list[int]:
        """Return the sources whose deadline has come, in order of deadline and name, and mark them as quiet."""
        rows = self.sources[: len(self.sensors)]
        due = np.flatnonzero((rows["deadline_ms"] != NEVER) & (rows["deadline_ms"] <= now_ms) & (rows["quiet"] == 0))
        rows["quiet"][due] = 1
        self._changed_sources[due] = True
        return sorted(due.tolist(), key=lambda n: (int(rows["deadline_ms"][n]), self.sensors[n].sensor_id))

    def expect_first(self, now_ms: int) -> None:
        """Give sources that have never spoken until ``quiet_after`` from now."""
        rows = self.sources[: len(self.sensors)]
        unheard = np.flatnonzero(rows["deadline_ms"] == NEVER)
        rows["deadline_ms"][unheard] = now_ms + rows["quiet_after_ms"][unheard]
        self._changed_sources[unheard] = True

    def postpone(self, by_ms: int) -> None:
        """Move every deadline: nobody was listening meanwhile."""
        rows = self.sources[: len(self.sensors)]
        waiting = np.flatnonzero((rows["deadline_ms"] != NEVER) & (rows["quiet"] == 0))
        rows["deadline_ms"][waiting] += by_ms
        self._changed_sources[waiting] = True

    def _series(self, source: int, metric: int) -> int:
        number = int(self.series_at[source, metric])
        if number < 0:
            number = len(self.series_keys)
            self.series_at[source, metric] = number
            self.series_keys.append((source, metric))
            self.keys.append(b"r:%d:%s" % (metric, self.sensors[source].sensor_id.encode()))
            self.banks.add(metric)
            self._born.append(number)
            if number >= len(self.series):
                more = max(_FIRST_ROWS, len(self.series) // 4)
                self.series = np.concatenate([self.series, np.full(more, blank_series(), SERIES)])
                self._changed_series = np.concatenate([self._changed_series, np.zeros(more, bool)])
        return number

    def _grow_sources(self) -> None:
        if len(self.sensors) <= len(self.sources):
            return
        more = max(_FIRST_ROWS, len(self.sources) // 4)
        self.sources = np.concatenate([self.sources, np.zeros(more, SOURCE)])
        self.series_at = np.concatenate([self.series_at, np.full((more, len(METRICS)), -1, np.int32)])
        self._changed_sources = np.concatenate([self._changed_sources, np.zeros(more, bool)])


def _check(version: int) -> None:
    if version != VERSION:
        raise Fatal(f"states of layout {version} were saved by another version of Gridbeacon; this one has {VERSION}")
