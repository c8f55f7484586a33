"""What a refit leaves behind: curves, weights and bands of all series of a batch; plain arrays that travel as bytes."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from forecasts.history import DayTypes
from gridbeacon.frame import F4, I8, U1
from gridbeacon.reasons import DayType, ForecastModel, ForecastReason

MODELS = tuple(ForecastModel)
FORECAST_REASONS = tuple(ForecastReason)
LAYOUT = 1
"""Of the bytes; bytes of another layout are refused, and the series are fitted again."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """N series after a refit. Slot numbers count from ``end_ms``, the first slot that was not in the history.

    ``curve`` (N × H) is the forecast of slot h before any correction, NaN where the place is closed at that time;
    ``week`` (N × H) what was measured a week before it. ``profile`` (N × 3 × S) is what is usual at a slot of a
    workday, weekend, holiday: it takes over after ``valid_until_ms``. ``leads`` (L) are in slots. ``weights``
    (L × F × N), ``quantiles`` (L × 4 × N), ``state`` (STATES × N), ``ring`` (N × S) and ``loads`` (N × directions) are
    those of ``forecasts.correction``, as of ``end_ms``; ``common`` (groups × 2 × directions) what all series of a group
    are off by, ``group`` (N) the group of each. ``level`` and ``highest`` are each series' mean and maximum, ``last``
    its latest value. ``model`` and ``reason`` index ``MODELS`` and ``FORECAST_REASONS``.
    """

    names: tuple[str, ...]
    step_ms: int
    end_ms: int
    valid_until_ms: int
    timezone: str
    day_types: DayTypes
    leads: I8
    group: I8
    model: U1
    reason: U1
    curve: F4
    week: F4
    profile: F4
    weights: F4
    quantiles: F4
    level: F4
    highest: F4
    last: F4
    state: F4
    ring: F4
    loads: F4
    common: F4

    def models(self) -> tuple[ForecastModel, ...]:
        """Return the model of each series."""
        return tuple(MODELS[code] for code in self.model.tolist())

    def reasons(self) -> tuple[ForecastReason, ...]:
        """Return why it is that model, for each series."""
        return tuple(FORECAST_REASONS[code] for code in self.reason.tolist())

    def take(self, numbers: I8) -> "Fitted":
        """Return some of the series, in the order of ``numbers``.

        What all series are off by is then seen through these alone; keep a batch together where you can.
        """
        part: dict[str, Any] = {name: np.ascontiguousarray(getattr(self, name)[numbers]) for name in _BY_FIRST}
        part |= {name: np.ascontiguousarray(getattr(self, name)[..., numbers]) for name in _BY_LAST}
        return replace(self, names=tuple(self.names[n] for n in numbers.tolist()), **part)

    @staticmethod
    def join(parts: "Sequence[Fitted]") -> "Fitted":
        """Return the series of several fits of one end and one grid, in order.

        Parts that ``take`` took of one fit are one fit again; different fits stay groups of their own.
        """
        arrays: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in parts]) for name in _BY_FIRST}
        arrays |= {name: np.concatenate([getattr(p, name) for p in parts], axis=-1) for name in _BY_LAST}
        known: dict[bytes, int] = {}
        groups: list[I8] = []
        for part in parts:
            numbers = [known.setdefault(one.tobytes(), len(known)) for one in part.common]
            groups.append(np.array(numbers, np.int64)[part.group])
        arrays["group"] = np.concatenate(groups)
        shape = (len(known), *parts[0].common.shape[1:])
        arrays["common"] = np.frombuffer(b"".join(known), np.float32).reshape(shape).copy()
        return replace(parts[0], names=tuple(name for part in parts for name in part.names), **arrays)

    def to_bytes(self) -> bytes:
        """Return everything, lossless; equal fits give equal bytes."""
        plain: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, np.ndarray):
                value = (value.dtype.str, value.shape, value.tobytes())
            elif isinstance(value, DayTypes):
                value = (value.first.isoformat(), [one.value for one in value.types])
            plain[each.name] = value
        return msgspec.msgpack.encode((LAYOUT, plain))

    @staticmethod
    def from_bytes(data: bytes) -> "Fitted":
        """Return what ``to_bytes`` was given. Raises ``ValueError`` on bytes of another layout."""
        layout, plain = msgspec.msgpack.decode(data)
        if layout != LAYOUT:
            raise ValueError(f"a fit of layout {layout}, this version reads {LAYOUT}; fit the series again")
        first, types = plain.pop("day_types")
        values: dict[str, Any] = {
            name: _array(value) if isinstance(value, list) else value for name, value in plain.items()
        }
        values["names"] = tuple(plain["names"])
        return Fitted(**values, day_types=DayTypes(date.fromisoformat(first), tuple(map(DayType, types))))


_BY_FIRST = ("group", "model", "reason", "curve", "week", "profile", "level", "highest", "last", "ring", "loads")
_BY_LAST = ("weights", "quantiles", "state")


def _array(value: list[Any]) -> npt.NDArray[Any]:
    if len(value) != 3 or not isinstance(value[2], bytes):
        return np.array(value)
    kind, shape, data = value
    return np.frombuffer(data, np.dtype(kind)).reshape(shape).copy()
