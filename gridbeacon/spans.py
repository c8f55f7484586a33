"""Spans of time as people write them: 15m, 24h, 7d."""

import re

from gridbeacon.errors import UsageError

_WRITTEN = (("h", 3_600_000), ("m", 60_000), ("s", 1_000))
_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def span_ms(text: str, option: str) -> int:
    """Return a span in milliseconds. Raises ``UsageError`` that names the option.

    >>> span_ms("15m", "--step"), span_ms("1.5h", "--every")
    (900000, 5400000)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", text)
    if found is None or (span := round(float(found[1]) * _UNITS_MS[found[2]])) <= 0:
        raise UsageError(f"{option} {text!r} is no span of time; write 15m, 24h or 7d")
    return span


def written_span(span: int) -> str:
    """Return a span of milliseconds as it is written.

    >>> written_span(86_400_000), written_span(5_400_000)
    ('24h', '90m')
    """
    unit, size = next((unit, size) for unit, size in _WRITTEN if span % size == 0)
    return f"{span // size}{unit}"
