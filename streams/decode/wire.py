"""The wire's own forms: JSON, NGSI attributes, times. Total: what does not fit raises ``Refused`` with its reason."""

import json
import math
import re
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from gridbeacon.reasons import Rejection

#: Keys of NGSI that describe an entity instead of measuring something.
NGSI_KEYS = frozenset({"@context", "type", "id"})
MAX_ID_CHARS = 200
#: What RFC 3339 says, the zone left out at will. ``fromisoformat`` knows more (week dates, a comma for the point).
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d(?:\.\d{1,9})?)(Z|z|[+-]\d\d:\d\d)?", re.ASCII)
_MAX_FLOAT_DIGITS = 308


class Refused(Exception):
    """One object can't be taken; becomes a ``Rejected``."""

    def __init__(self, reason: Rejection, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def parse(raw: bytes) -> tuple[Any, bool]:
    """Return (JSON value of a record, whether all of its numbers are finite). Raises ``Refused`` (not_json, too_deep).

    NaN, Infinity and numbers beyond 1e308 are read, so that they cost one object of an array and not the array.
    """
    try:
        return msgspec.json.decode(raw), True
    except RecursionError:
        raise Refused(Rejection.TOO_DEEP, "the record nests too deeply") from None
    except ValueError as error:  # msgspec's and what its parts raise
        try:
            found = json.loads(raw.decode(), parse_int=_whole)
            json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no text
        except (ValueError, RecursionError):
            raise Refused(Rejection.NOT_JSON, str(error)[:200]) from None
        return found, False


def _whole(digits: str) -> float:
    return int(digits) if len(digits) <= _MAX_FLOAT_DIGITS else math.inf


def is_finite(value: Any) -> bool:
    """Return whether every number in a JSON value, at any depth, is finite.

    >>> is_finite({"a": [1, {"b": 2.5}]}), is_finite({"a": [1, {"b": float("nan")}]})
    (True, False)
    """
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack += item.values()
        elif isinstance(item, list):
            stack += item
        elif isinstance(item, float) and not math.isfinite(item):
            return False
    return True


def unwrap(entity: dict[str, Any]) -> dict[str, Any]:
    """Return an NGSI entity in key-values form, whichever form it came in.

    >>> unwrap({"id": "a", "peopleCount": {"type": "Number", "value": 3}, "occupancy": 0.5})
    {'id': 'a', 'peopleCount': 3, 'occupancy': 0.5}
    """
    return {key: _value(attribute) for key, attribute in entity.items()}


def _value(attribute: Any) -> Any:
    if isinstance(attribute, dict) and "value" in attribute:
        attribute = attribute["value"]
    if isinstance(attribute, dict) and "@value" in attribute:
        return attribute["@value"]
    return attribute


@lru_cache(maxsize=16_384)
def period(text: str) -> tuple[int | None, int]:
    """Return (from, to) in ms of ``A/B``, or (None, time) of a single RFC 3339 time; without a zone it is UTC.

    Raises ``ValueError`` when it is no such time.

    >>> period("2018-08-07T11:10:00/2018-08-07T11:15:00Z")
    (1533640200000, 1533640500000)
    """
    begin, slash, end = text.partition("/")
    return (_instant(begin), _instant(end)) if slash else (None, _instant(begin))


def _instant(text: str) -> int:
    # Times of ISO 8601 that RFC 3339 does not know (week dates, dates alone) are refused, not guessed at.
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(text)
    day, time, zone = found.groups()
    moment = datetime.fromisoformat(f"{day}T{time}{(zone or 'Z').upper()}")
    return round(moment.timestamp() * 1000)


def time_of(fields: dict[str, Any], name: str) -> tuple[int | None, int] | None:
    """Return the period of a time field, or None when it is absent. Raises ``Refused`` when it is no time."""
    text = fields.get(name)
    if text is None:
        return None
    if not isinstance(text, str):
        raise Refused(Rejection.WRONG_TYPE, f"{name} must be an RFC 3339 string")
    try:
        return period(text)
    except (ValueError, OverflowError):
        raise Refused(Rejection.WRONG_TYPE, f"{name} is no RFC 3339 time") from None


def number_of(fields: dict[str, Any], name: str, low: float, high: float) -> float | None:
    """Return a number field within ``low``..``high``, or None when it is absent or null. Raises ``Refused``."""
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(Rejection.WRONG_TYPE, f"{name} must be a number")
    try:
        value = float(value)
    except OverflowError:
        raise Refused(Rejection.OUT_OF_RANGE, f"{name} must be in {low:g}..{high:g}") from None
    if not math.isfinite(value):
        raise Refused(Rejection.NOT_FINITE, f"{name} is not finite")
    if not low <= value <= high:
        raise Refused(Rejection.OUT_OF_RANGE, f"{name} must be in {low:g}..{high:g}")
    return value


def text_of(fields: dict[str, Any], name: str, max_chars: int = 4000) -> str:
    """Return a text field, '' when it is absent or null; numbers are read as their digits. Raises ``Refused``."""
    value = fields.get(name)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise Refused(Rejection.WRONG_TYPE, f"{name} must be a string")
    if len(value) > max_chars:
        raise Refused(Rejection.OUT_OF_RANGE, f"{name} has more than {max_chars} characters")
    return value


def name_of(fields: dict[str, Any], name: str) -> str:
    """Return an identifier: printable, at most 200 characters, '' when absent. Raises ``Refused``."""
    text = text_of(fields, name, MAX_ID_CHARS).strip()
    if text and not text.isprintable():
        raise Refused(Rejection.WRONG_TYPE, f"{name} holds characters that can't be printed")
    return text
