"""What every client is asked, and the one form in which it answers: text.

A client is anything with ``answer(requests) -> answers``, here and in the programs of other languages. A request has a
``name`` and one of three forms, and its answer stands under that name:

- ``sql`` with ``params`` and ``settings`` -> ``types`` and ``rows``, or ``code`` and ``text`` of an exception;
- ``digest`` (a query of many rows) -> ``rows``, the ``sum`` of the first column, and how often each of the ``words``
  of the second occurs;
- ``source`` and ``target`` (tables): read the one, insert its rows into the other in the client's own way -> ``rows``.
"""

import datetime as dt
import decimal
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

Request = dict[str, Any]
Answer = dict[str, Any]

_HERE = Path(__file__).parent
GIVEN = json.loads((_HERE / "questions.json").read_text("utf-8"))
COLUMNS: dict[str, list[str]] = GIVEN["columns"]
QUESTIONS: list[Request] = GIVEN["questions"]
ERRORS: list[Request] = GIVEN["errors"]
MILLION: Answer = GIVEN["million"]
ALL_SQL = "SELECT * FROM clients.types ORDER BY id"


class Asked(Protocol):
    """A client, ready to be asked."""

    def answer(self, requests: list[Request]) -> dict[str, Answer]:
        """Return the answers by the names of their requests."""


def statements() -> list[str]:
    """Return the statements of ``fixture.sql``."""
    lines = (_HERE / "fixture.sql").read_text("utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("--"))
    return [part.strip() for part in text.split(";\n") if part.strip()]


def reason_not_to_ask(client: str, name: str) -> str:
    """Return why a client can't be asked this: what its own code can't do, whatever the server; "" when it can be."""
    return _reason("not_for", client, name)


def reason_not_to_write(client: str, name: str) -> str:
    """Return why a client can't write the values of this column, "" when it can."""
    return _reason("not_written_by", client, name)


def _reason(key: str, client: str, name: str) -> str:
    return next((why for start, why in GIVEN[key].get(name, {}).items() if client.startswith(start)), "")


def requests(asked: list[Request]) -> list[Request]:
    """Return questions without their answers."""
    return [{key: value for key, value in one.items() if key not in ("rows", "code", "word")} for one in asked]


def plain(value: Any) -> str:
    """Return a value of Python as the answers have it.

    >>> plain([1.0, None, (True, b"a")])
    '[1,NULL,[true,a]]'
    """
    if isinstance(value, np.generic):
        value = value.astype("datetime64[us]").item() if str(value.dtype) == "datetime64[ns]" else value.item()
    if hasattr(value, "isoformat"):
        return "NULL" if pd.isna(value) else _time(value)
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case float():
            return _number(decimal.Decimal(repr(float(value))))
        case decimal.Decimal():
            return _number(value)
        case bytes():
            return value.decode()
        case tuple() | list():
            return f"[{','.join(map(plain, value))}]"
        case Mapping():
            return f"{{{','.join(f'{plain(key)}:{plain(value[key])}' for key in sorted(value))}}}"
    return str(value)


def _time(value: Any) -> str:
    if not isinstance(value, dt.datetime):
        return value.isoformat()
    if value.tzinfo:
        value = value.astimezone(dt.UTC).replace(tzinfo=None)
    text = value.isoformat(" ")
    return text.rstrip("0") if "." in text else text


def _number(value: decimal.Decimal) -> str:
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
