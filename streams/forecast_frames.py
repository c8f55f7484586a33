"""What is stored of forecasts, on the wire: one Arrow IPC stream; crossings and audits are JSON in its metadata."""

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from forecasts.outlook import ForecastRows
from gridbeacon.crossings import Told
from gridbeacon.errors import Fatal
from streams.frames import UNREADABLE, decode_columns, encode_columns

FORMAT = 1
_FIELDS = (
    ("series", pa.int32()),
    ("target_ms", pa.int64()),
    ("model", pa.uint8()),
    ("point", pa.float32()),
    ("lower80", pa.float32()),
    ("upper80", pa.float32()),
    ("lower95", pa.float32()),
    ("upper95", pa.float32()),
)


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """How far our fit of a series is from stock Prophet's: differences as shares of its level, and of the objective."""

    name: str
    audited_ms: int
    slots: int
    mean_difference: float
    largest_difference: float
    objective_difference: float


class ForecastsHeader(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a message of ``forecasts`` carries besides its columns."""

    format: int
    made_ms: int = 0
    valid_until_ms: int = 0
    names: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    crossings: tuple[Told, ...] = ()
    audits: tuple[Audit, ...] = ()


class Forecasts(msgspec.Struct, frozen=True):
    """One message of ``forecasts``."""

    rows: ForecastRows | None
    crossings: tuple[Told, ...]
    audits: tuple[Audit, ...]


_header = msgspec.json.Decoder(ForecastsHeader)


def encode_forecasts(
    rows: ForecastRows | None = None, crossings: tuple[Told, ...] = (), audits: tuple[Audit, ...] = ()
) -> bytes:
    """Return forecasts, crossings and audits as one message."""
    if rows is None:
        header = ForecastsHeader(format=FORMAT, crossings=crossings, audits=audits)
        columns: list[Any] = [np.empty(0)] * len(_FIELDS)
    else:
        header = ForecastsHeader(
            format=FORMAT,
            made_ms=rows.made_ms,
            valid_until_ms=rows.valid_until_ms,
            names=rows.names,
            cells=rows.cells,
            crossings=crossings,
            audits=audits,
        )
        columns = [getattr(rows, name) for name, _ in _FIELDS]
    return encode_columns(_FIELDS, columns, msgspec.json.encode(header))


def decode_forecasts(raw: bytes) -> Forecasts:
    """Return what one message of ``forecasts`` says. Raises ``Fatal`` when it is not one of this format."""
    try:
        header_bytes, columns = decode_columns(raw)
        header = _header.decode(header_bytes)
    except UNREADABLE as error:
        raise Fatal(f"unreadable message on the forecasts topic: {error}") from error
    rows = None
    if header.names:
        rows = ForecastRows(
            made_ms=header.made_ms,
            valid_until_ms=header.valid_until_ms,
            names=header.names,
            cells=header.cells,
            **{name: columns[name] for name, _ in _FIELDS},
        )
    return Forecasts(rows, header.crossings, header.audits)
