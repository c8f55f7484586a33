"""The values of this package for people, scripts and the log."""

from typing import Any

import msgspec

from gridbeacon.reasons import Level, State, Tier


def plain(value: Any) -> Any:
    """Return a value of this module as plain data for people and scripts: levels and states are their words.

    >>> from gridbeacon.model import Position
    >>> plain((Level.RED, State.WARMING_UP, Position("crowd.metrics", 0, 7)))
    ['red', 'warming_up', ['crowd.metrics', 0, 7, 0]]
    """
    if isinstance(value, Level | State | Tier):
        return value.word
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def to_json(value: Any) -> bytes:
    """Return a value of this module as one line of JSON (no floats that JSON can't hold)."""
    return msgspec.json.encode(value)
