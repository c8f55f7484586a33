"""The states of one partition: a row per series and per source, found by name, saved when changed."""

from typing import Any

import msgspec
import numpy as np

from detectors.layout import NEVER, SERIES, SOURCE, VERSION, blank_series, blank_source
from detectors.learned import Detector
from gridbeacon.config import Quality
from gridbeacon.errors import Fatal
from gridbeacon.frame import I4, I8
from gridbeacon.model import Sensor
from gridbeacon.vocabulary import METRICS, Kind

_FIRST_ROWS = 64
_NO_QUIET_MS = 1 << 60


class SavedSource(msgspec.Struct, frozen=True, array_like=True):
    """What is saved of a source: its definition and its row."""

    version: int
    sensor: Sensor
    row: bytes


class States:
    """Rows of ``layout.SERIES`` and ``layout.SOURCE`` with what belongs to them, by number.

    ``cells``, ``names`` and ``kinds`` are of sources; ``series_at[source, metric]`` is the number of a series;
    ``episodes`` maps a series in an episode to (direction, calm observations in a row).
    """

    def __init__(self, new_detector: Any, quality: Quality) -> None:
        self._new_detector = new_detector
        self._quality = quality
        self.series = np.empty(0, SERIES)
        self.sources = np.empty(0, SOURCE)
        self.series_at: I4 = np.empty((0, len(METRICS)), np.int32)
        self.sensors: list[Sensor] = []
        self.cells: list[str] = []
        self.series_keys: list[tuple[int, int]] = []
        self.detectors: list[Detector] = []
        self.episodes: dict[int, tuple[int, int]] = {}
        self._at: dict[tuple[bool, str], int] = {}
        self._changed_series = np.empty(0, bool)
        self._changed_sources = np.empty(0, bool)

    def __len__(self) -> int:
        return len(self.series_keys)

    def define(self, sensor: Sensor) -> int:
        """Take the definition of a source, new or again; return its number."""
        key = (sensor.kind is Kind.EVENTS, sensor.sensor_id)
        number = self._at.get(key)
        if number is not None and self.sensors[number] == sensor:
            return number
        if number is None:
            number = self._at[key] = len(self.sensors)
            self.sensors.append(sensor)
            self.cells.append(sensor.grid_id)
            self._grow_sources()
            self.sources[number] = blank_source()
        self.sensors[number], self.cells[number] = sensor, sensor.grid_id
        row = self.sources[number]
        quality = self._quality
        row["interval_ms"] = round(sensor.interval_secs * 1000)
        quiet_secs = max(quality.quiet_intervals * sensor.interval_secs, quality.quiet_min_secs)
        row["quiet_after_ms"] = _NO_QUIET_MS if sensor.kind is Kind.EVENTS else round(quiet_secs * 1000)
        row["area_m2"] = np.nan if sensor.area_m2 is None else sensor.area_m2
        row["capacity"] = np.nan if sensor.capacity is None else sensor.capacity
        self._changed_sources[number] = True
        return number

    def numbers_of(self, names: tuple[str, ...], *, events: bool = False) -> I8:
        """Return the number of each source. Raises ``Fatal`` when one was never defined."""
        try:
            return np.fromiter((self._at[events, name] for name in names), np.int64, len(names))
        except KeyError as error:
            raise Fatal(f"source {error.args[0][1]!r} was never defined on the observations log") from error

    def series_of(self, source: I8, metric: Any) -> I8:
        """Return the number of the series of each (source, metric); new ones begin blank."""
        found = self.series_at[source, metric]
        for at in np.flatnonzero(found < 0).tolist():
            found[at] = self._series(int(source[at]), int(metric[at]))
        return np.asarray(found, np.int64)

    def touch(self, series: I8, source: I8) -> None:
        """Remember that these rows have changed."""
        self._changed_series[series] = True
        self._changed_sources[source] = True

    def touch_sources(self, source: Any) -> None:
        """Remember that these sources have changed."""
        self._changed_sources[source] = True

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return (key, value) of every row that changed since the last call."""
        records: list[tuple[bytes, bytes | None]] = []
        for number in np.flatnonzero(self._changed_sources[: len(self.sensors)]).tolist():
            sensor = self.sensors[number]
            value = SavedSource(VERSION, sensor, self.sources[number].tobytes())
            records.append((b"s:" + sensor.kind.encode() + b":" + sensor.sensor_id.encode(), _pack(value)))
        version = bytes([VERSION])
        for number in np.flatnonzero(self._changed_series[: len(self)]).tolist():
            row = self.series[number]
            kept = self.detectors[number].row()
            row["detector"][: len(kept)] = kept
            row["episode"], row["calm"] = self.episodes.get(number, (0, 0))
            source, metric = self.series_keys[number]
            key = b"r:%d:%s" % (metric, self.sensors[source].sensor_id.encode())
            records.append((key, version + row.tobytes()))
        self._changed_series[:] = False
        self._changed_sources[:] = False
        return records

    def restore_source(self, value: bytes) -> None:
        """Take back a source of ``changed``."""
        saved = msgspec.msgpack.decode(value, type=SavedSource)
        _check(saved.version)
        number = self.define(saved.sensor)
        self.sources[number] = np.frombuffer(saved.row, SOURCE)[0]
        self._changed_sources[number] = False

    def restore_series(self, key: bytes, value: bytes) -> None:
        """Take back a series of ``changed``; its source must be here already."""
        _check(value[0])
        _, metric, name = key.split(b":", 2)
        events = METRICS[int(metric)].kind is Kind.EVENTS
        source = self._at.get((events, name.decode()))
        if source is None:
            raise Fatal(f"the state of series {key!r} was saved without its source")
        number = self._series(source, int(metric))
        self.series[number] = np.frombuffer(value, SERIES, 1, 1)[0]
        row = self.series[number]
        self.detectors[number].restore(tuple(row["detector"].tolist()))
        if row["episode"]:
            self.episodes[number] = (int(row["episode"]), int(row["calm"]))

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
            self.detectors.append(self._new_detector())
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


def _pack(value: SavedSource) -> bytes:
    return msgspec.msgpack.encode(value)


def _check(version: int) -> None:
    if version != VERSION:
        raise Fatal(f"states of layout {version} were saved by another version of Gridbeacon; this one has {VERSION}")
